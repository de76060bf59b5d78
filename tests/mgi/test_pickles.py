"""NVIDIA's pickles, read like the state dicts that they hold; test_hostile_files.py has those that must be refused.

The pickles are made here from stand-ins of the classes' names; no foreign source is needed to write one.
"""

from __future__ import annotations

import argparse
import collections
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mgi.generators import GeneratorError, load

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

    def _reconstruct_persistent_obj(meta: Any) -> None:
        raise AssertionError("foreign code was run")

    places: dict[str, Any] = {
        "dnnlib.util": EasyDict,
        "dnnlib.tflib.network": Network,
        "torch_utils.persistence": _reconstruct_persistent_obj,
    }
    for place, thing in places.items():
        parts = place.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            if name not in sys.modules:
                monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        thing.__module__, thing.__qualname__ = place, thing.__name__
        setattr(sys.modules[place], thing.__name__, thing)
    yield types.SimpleNamespace(EasyDict=EasyDict, Network=Network, rebuild=_reconstruct_persistent_obj)


class Module:
    """A module of NVIDIA's PyTorch code, as its persistence pickles it."""

    def __init__(self, nvidia: types.SimpleNamespace, source: str) -> None:
        self.nvidia, self.source = nvidia, source
        self.state: dict[str, Any] = {
            kind: collections.OrderedDict() for kind in ("_parameters", "_buffers", "_modules")
        }

    def put(self, key: str, tensor: torch.Tensor) -> None:
        first, _, rest = key.partition(".")
        if rest:
            self.state["_modules"].setdefault(first, Module(self.nvidia, self.source)).put(rest, tensor)
        elif first.startswith("noise_const") or first == "w_avg":
            self.state["_buffers"][first] = tensor
        else:
            self.state["_parameters"][first] = torch.nn.Parameter(tensor)

    def __reduce__(self) -> tuple[Any, ...]:
        meta = self.nvidia.EasyDict(
            type="class", version=6, module_src=self.source, class_name="Generator", state=self.state
        )
        return self.nvidia.rebuild, (meta,)


def ada_state() -> dict[str, torch.Tensor]:
    """rosinality's golden generator under the names of stylegan2-ada-pytorch."""
    checkpoint = state_of("stylegan2_rosinality")
    old, new = checkpoint["g_ema"], {"mapping.w_avg": checkpoint["latent_avg"]}
    depth = sum(key.startswith("style.") and key.endswith("weight") for key in old)
    for i in range(depth):
        new |= {f"mapping.fc{i}.{kind}": old[f"style.{i + 1}.{kind}"] for kind in ("weight", "bias")}
    new["synthesis.b4.const"] = old["input.input"][0]
    sizes = [4, 8, 16, 32]
    convolutions = [("b4.conv1", "conv1")]
    for number, size in enumerate(sizes[1:]):
        convolutions += [(f"b{size}.conv{j}", f"convs.{2 * number + j}") for j in (0, 1)]
    for number, (there, here) in enumerate(convolutions):
        new[f"synthesis.{there}.weight"] = old[f"{here}.conv.weight"][0]
        new[f"synthesis.{there}.affine.weight"] = old[f"{here}.conv.modulation.weight"]
        new[f"synthesis.{there}.affine.bias"] = old[f"{here}.conv.modulation.bias"]
        new[f"synthesis.{there}.bias"] = old[f"{here}.activate.bias"]
        new[f"synthesis.{there}.noise_strength"] = old[f"{here}.noise.weight"][0]
        new[f"synthesis.{there}.noise_const"] = old[f"noises.noise_{number}"][0, 0]
    for number, size in enumerate(sizes):
        here = f"to_rgbs.{number - 1}" if number else "to_rgb1"
        new[f"synthesis.b{size}.torgb.weight"] = old[f"{here}.conv.weight"][0]
        new[f"synthesis.b{size}.torgb.bias"] = old[f"{here}.bias"].flatten()
        for kind in ("weight", "bias"):
            new[f"synthesis.b{size}.torgb.affine.{kind}"] = old[f"{here}.conv.modulation.{kind}"]
    return {key: tensor.contiguous().clone() for key, tensor in new.items()}


def test_stylegan2_ada_pickle(nvidia: types.SimpleNamespace, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    module = Module(nvidia, source=f"open({str(marker)!r}, 'w')")
    for key, tensor in ada_state().items():
        module.put(key, tensor)
    path = tmp_path / "network.pkl"
    content = {"G": None, "D": None, "G_ema": module, "training_set_kwargs": nvidia.EasyDict(), "augment_pipe": None}
    path.write_bytes(pickle.dumps(content))
    expected = golden("stylegan2_rosinality")
    generator = load(path)
    torch.testing.assert_close(generator(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)
    save_file(ada_state(), tmp_path / "network.safetensors")
    torch.testing.assert_close(load(tmp_path / "network.safetensors")(expected["z"]), generator(expected["z"]))
    assert not marker.exists()


def test_stylegan3_and_others_are_named(nvidia: types.SimpleNamespace, tmp_path: Path) -> None:
    path, base = tmp_path / "network.pkl", ("synthesis.b4.const", "mapping.fc0.weight")

    def with_keys(*keys: str) -> Module:
        module = Module(nvidia, "")
        for key in keys:
            module.put(key, torch.zeros(2, 2))
        return module

    for content, message in (
        ({"G_ema": with_keys("synthesis.L0_36_512.weight")}, "StyleGAN3"),
        ({"G_ema": with_keys(*base, "synthesis.b8.skip.weight")}, "residual blocks"),
        ({"G_ema": with_keys(*base, "mapping.embed.weight")}, "conditional"),
        ({"weights": 3}, "holds no generator"),
        ([], "holds no generator"),
    ):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(GeneratorError, match=message):
            load(path)


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
    generator = load(path)
    torch.testing.assert_close(generator(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)
    w = generator.truncate(expected["w"], 0.7, 8)
    torch.testing.assert_close(
        generator.synthesize(w), expected["image_truncated_psi0_7_layers8"], rtol=1e-4, atol=1e-4
    )


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
    torch.testing.assert_close(load(path)(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)


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
    torch.testing.assert_close(load(path)(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)


def test_snapshots_and_encoders_around_rosinality(tmp_path: Path) -> None:
    checkpoint, expected = state_of("stylegan2_rosinality"), golden("stylegan2_rosinality")
    snapshot = {"g": {}, "d": {}, "g_ema": checkpoint["g_ema"], "args": argparse.Namespace(size=32, path="x")}
    torch.save(snapshot, tmp_path / "snapshot.pt")
    generator = load(tmp_path / "snapshot.pt")
    torch.testing.assert_close(generator(expected["z"]), expected["image"], rtol=1e-4, atol=1e-4)
    with pytest.raises(GeneratorError, match="no mean latent"):
        generator.truncate(expected["w"], 0.7)
    encoder = {f"decoder.{key}": tensor for key, tensor in checkpoint["g_ema"].items()}
    encoder["encoder.input_layer.0.weight"] = torch.zeros(2, 2)
    mean = checkpoint["latent_avg"].repeat(8, 1)
    torch.save({"state_dict": encoder, "latent_avg": mean, "opts": argparse.Namespace()}, tmp_path / "psp.pt")
    generator = load(tmp_path / "psp.pt")
    w = generator.truncate(expected["w"], 0.7)
    torch.testing.assert_close(generator.synthesize(w), expected["image_truncated_psi0_7"], rtol=1e-4, atol=1e-4)
