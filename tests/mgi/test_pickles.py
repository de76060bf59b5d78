"""NVIDIA's TensorFlow pickles, and training snapshots, read like the state dicts that they hold.

The pickles are made here from stand-ins of the classes' names; no foreign source is needed to write one. The PyTorch
ones are in test_ada_pickles.py; those that must be refused in test_hostile_files.py and test_hostile_names.py.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgi.generators import GeneratorError, load_file
from mgi.generators.loading import checkpoint_tensors

# Pickling a tensor as NVIDIA does goes through PyTorch's old storages.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / f"{name}.npz").items()}


def state_of(name: str) -> dict[str, Any]:
    return torch.load(GOLDEN / f"{name}.pth", weights_only=True)


# ---------------------------------------------------------------------- stand-ins for NVIDIA's modules


@pytest.fixture
def nvidia(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """Modules of the names that NVIDIA's pickles refer to."""

    class EasyDict(dict[str, Any]):
        pass

    class Network:
        def __getstate__(self) -> dict[str, Any]:
            return self.__dict__

    places: dict[str, Any] = {
        "dnnlib.util": EasyDict,
        "dnnlib.tflib.network": Network,
    }
    for place, thing in places.items():
        parts = place.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            if name not in sys.modules:
                monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        thing.__module__, thing.__qualname__ = place, thing.__name__
        setattr(sys.modules[place], thing.__name__, thing)
    yield types.SimpleNamespace(EasyDict=EasyDict, Network=Network)


# ---------------------------------------------------------------------- TensorFlow


def network(nvidia: types.SimpleNamespace, variables: dict[str, Any], **components: Any) -> Any:
    found = nvidia.Network()
    found.version, found.name, found.static_kwargs = 4, "Gs", nvidia.EasyDict(resolution=32)
    found.build_module_src, found.build_func_name = "raise SystemExit('foreign code was run')", "G"
    found.variables = [(key, np.ascontiguousarray(value)) for key, value in variables.items()]
    found.components = nvidia.EasyDict(components)
    return found


def kernel(weight: torch.Tensor) -> np.ndarray:
    return weight.permute(2, 3, 1, 0).numpy()


def mapping_of(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    found = {}
    for i in range(8):
        found[f"Dense{i}/weight"] = state[f"mapping.dense{i}.weight"].t().numpy()
        found[f"Dense{i}/bias"] = state[f"mapping.dense{i}.bias"].numpy()
    return found


def test_stylegan2_of_tensorflow(nvidia: types.SimpleNamespace, tmp_path: Path) -> None:
    state = state_of("stylegan2_genforce")["generator_smooth"]
    synthesis = {"4x4/Const/const": state["synthesis.early_layer.const"].numpy()}
    names = ["4x4/Conv", *(f"{size}x{size}/{kind}" for size in (8, 16, 32) for kind in ("Conv0_up", "Conv1"))]
    there = [(f"synthesis.layer{i}", name) for i, name in enumerate(names)]
    there += [(f"synthesis.output{i}", f"{4 << i}x{4 << i}/ToRGB") for i in range(4)]
    for number, (old, new) in enumerate(there):
        synthesis[f"{new}/weight"] = kernel(state[f"{old}.weight"])
        synthesis[f"{new}/bias"] = state[f"{old}.bias"].numpy()
        synthesis[f"{new}/mod_weight"] = state[f"{old}.style.weight"].t().numpy()
        synthesis[f"{new}/mod_bias"] = state[f"{old}.style.bias"].numpy()
        if "ToRGB" not in new:
            synthesis[f"{new}/noise_strength"] = state[f"{old}.noise_strength"].numpy()
            synthesis[f"noise{number}"] = state[f"{old}.noise"].numpy()
    gs = network(
        nvidia,
        {"dlatent_avg": state["truncation.w_avg"].numpy(), "lod": np.float32(0)},
        synthesis=network(nvidia, synthesis),
        mapping=network(nvidia, mapping_of(state)),
    )
    path = tmp_path / "gs.pkl"
    path.write_bytes(pickle.dumps((network(nvidia, {}), network(nvidia, {}), gs)))
    expected = golden("stylegan2_genforce")
    generator = load_file(path)
    torch.testing.assert_close(generator(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)
    w = generator.truncate(expected["w"], 0.7, 8)
    torch.testing.assert_close(
        generator.synthesize(w), expected["image_truncated_psi0_7_layers8"], rtol=1e-4, atol=1e-4
    )
    gs.static_kwargs["conv_clamp"] = 0.5  # of StyleGAN2-ADA
    path.write_bytes(pickle.dumps((None, None, gs)))
    assert checkpoint_tensors(path)[1]["synthesis/conv_clamp"] == 0.5
    assert not torch.allclose(load_file(path)(expected["z"]), expected["image"], rtol=0.1, atol=0.1)


def test_stylegan_of_tensorflow(nvidia: types.SimpleNamespace, tmp_path: Path) -> None:
    state = state_of("stylegan_genforce")["generator_smooth"]
    synthesis = {"4x4/Const/const": state["synthesis.layer0.const"].numpy(), "lod": np.float32(0)}
    kinds = ["4x4/Const", "4x4/Conv"]
    kinds += [f"{size}x{size}/{kind}" for size in (8, 16, 32) for kind in ("Conv0_up", "Conv1")]
    for number, name in enumerate(kinds):
        old = f"synthesis.layer{number}"
        if number:
            synthesis[f"{name}/weight"] = kernel(state[f"{old}.weight"])
        synthesis[f"{name}/bias"] = state[f"{old}.bias"].numpy()
        synthesis[f"{name}/Noise/weight"] = state[f"{old}.apply_noise.weight"].numpy()
        synthesis[f"noise{number}"] = state[f"{old}.apply_noise.noise"].numpy()
        synthesis[f"{name}/StyleMod/weight"] = state[f"{old}.style.weight"].t().numpy()
        synthesis[f"{name}/StyleMod/bias"] = state[f"{old}.style.bias"].numpy()
    synthesis["ToRGB_lod0/weight"] = kernel(state["synthesis.output3.weight"])
    synthesis["ToRGB_lod0/bias"] = state["synthesis.output3.bias"].numpy()
    parts = {"synthesis": network(nvidia, synthesis), "mapping": network(nvidia, mapping_of(state))}
    gs = network(nvidia, {"dlatent_avg": state["truncation.w_avg"].numpy()}, **parts)
    path = tmp_path / "gs.pkl"
    path.write_bytes(pickle.dumps((None, None, gs), protocol=2))
    expected = golden("stylegan_genforce")
    torch.testing.assert_close(load_file(path)(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)


def test_variants_of_tensorflow(nvidia: types.SimpleNamespace, tmp_path: Path) -> None:
    kinds = {4: ("Conv", "ToRGB"), 8: ("Conv0_up", "Conv1", "ToRGB")}
    base = {f"{size}x{size}/{kind}/mod_weight": np.zeros((2, 2)) for size in kinds for kind in kinds[size]}
    base |= {f"{size}x{size}/ToRGB/weight": np.zeros((1, 1, 2, 3)) for size in kinds}
    without = {key: value for key, value in base.items() if not key.startswith("4x4/ToRGB")}
    path = tmp_path / "gs.pkl"
    for synthesis, mapping, arguments, message in (
        (without, {}, {}, "architecture 'orig'"),
        (without | {"8x8/Skip/weight": np.zeros((1, 1, 2, 2))}, {}, {}, "residual blocks"),
        (base, {"LabelEmbed/weight": np.zeros((2, 2))}, {}, "conditional on labels"),
        (base, {"LabelConcat/weight": np.zeros((2, 2))}, {}, "conditional on labels"),
        (base, {}, {"conv_clamp": "x"}, "clamps its convolutions at no single positive number"),
    ):
        parts = {"synthesis": network(nvidia, synthesis), "mapping": network(nvidia, mapping)}
        gs = network(nvidia, {}, **parts)
        gs.static_kwargs.update(arguments)
        path.write_bytes(pickle.dumps((None, None, gs)))
        with pytest.raises(GeneratorError, match=message):
            load_file(path)


@pytest.mark.parametrize("fused", [False, True])
def test_pggan_of_tensorflow(nvidia: types.SimpleNamespace, tmp_path: Path, fused: bool) -> None:
    state = state_of("pggan_mganprior")
    dense = state["layer0.conv.weight"]  # [C, z, 4, 4]; the linear layer's numbers, mirrored
    variables: dict[str, Any] = {"lod": np.float32(0)}
    variables["4x4/Dense/weight"] = dense.flip(2, 3).permute(1, 0, 2, 3).flatten(1).numpy()
    variables["4x4/Dense/bias"] = state["layer0.wscale.bias"].numpy()
    names = ["4x4/Conv"]
    names += [f"{s}x{s}/{k}" for s in (8, 16, 32) for k in ("Conv0_up" if fused else "Conv0", "Conv1")]
    for number, name in enumerate(names, start=1):
        weight = state[f"layer{number}.conv.weight"]
        up = name.endswith("Conv0_up")
        variables[f"{name}/weight"] = weight.flip(2, 3).permute(2, 3, 0, 1).numpy() if up else kernel(weight)
        variables[f"{name}/bias"] = state[f"layer{number}.wscale.bias"].numpy()
    variables["ToRGB_lod0/weight"] = kernel(state["output3.conv.weight"])
    variables["ToRGB_lod0/bias"] = state["output3.wscale.bias"].numpy()
    path = tmp_path / "gs.pkl"
    path.write_bytes(pickle.dumps((None, None, network(nvidia, variables))))
    expected = golden("pggan_mganprior")
    torch.testing.assert_close(load_file(path)(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)


def test_snapshots_and_encoders_around_rosinality(tmp_path: Path) -> None:
    checkpoint, expected = state_of("stylegan2_rosinality"), golden("stylegan2_rosinality")
    snapshot = {"g": {}, "d": {}, "g_ema": checkpoint["g_ema"], "args": argparse.Namespace(size=32, path="x")}
    torch.save(snapshot, tmp_path / "snapshot.pt")
    generator = load_file(tmp_path / "snapshot.pt")
    torch.testing.assert_close(generator(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)
    with pytest.raises(GeneratorError, match="no mean latent"):
        generator.truncate(expected["w"], 0.7)
    encoder = {f"decoder.{key}": tensor for key, tensor in checkpoint["g_ema"].items()}
    encoder["encoder.input_layer.0.weight"] = torch.zeros(2, 2)
    mean = checkpoint["latent_avg"].repeat(8, 1)
    torch.save({"state_dict": encoder, "latent_avg": mean, "opts": argparse.Namespace()}, tmp_path / "psp.pt")
    generator = load_file(tmp_path / "psp.pt")
    w = generator.truncate(expected["w"], 0.7)
    torch.testing.assert_close(generator.synthesize(w), expected["image_truncated_psi0_7"], rtol=1e-4, atol=1e-4)
