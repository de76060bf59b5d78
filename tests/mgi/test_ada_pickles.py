"""stylegan2-ada-pytorch's own snapshots: every protocol, every architecture, and what their code computes from them.

`EXPECTED` is what stylegan2-ada-pytorch (torch 1.7.1, Python 3.7, its CPU reference operations, stored noise, float32)
gives for `random_tensors`; the same run wrote snapshots whose global names are `NAMES`.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from snapshots import (
    GOLDEN,
    Call,
    EasyDict,
    Module,
    dumps,
    generator,
    golden_tensors,
    number,
    random_tensors,
    snapshot,
    tensor,
)

from mgi.generators import GeneratorError, load_file
from mgi.weights.convert.generator import convert_checkpoint

NAMES = {
    "_codecs encode",
    "__builtin__ set",
    "collections OrderedDict",
    "dnnlib.util EasyDict",
    "numpy dtype",
    "numpy.core.multiarray scalar",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor_v2",
    "torch.storage _load_from_bytes",
    "torch_utils.persistence _reconstruct_persistent_obj",
}
"""Of a snapshot of protocol 2; protocol 3 calls the set `builtins set` and needs no `encode`."""

EXPECTED: dict[str, tuple[dict[str, Any], dict[str, Any], list[float]]] = {
    "skip": ({}, {}, [3.70591, 2.49557, -3.39788, -0.94637, 2.24381, 0.05496, 6.84964, -1.14773, -2.74326]),
    "clamp at 1": (
        {},
        {"conv_clamp": 1},
        [1.64971, 0.88244, -0.05887, 1.00981, 0.94767, 0.33563, 2.07486, 0.64117, -0.31396],
    ),
    "half precision": (
        {},
        {"conv_clamp": 256},
        [3.70591, 2.49557, -3.39788, -0.94637, 2.24381, 0.05496, 6.84964, -1.14773, -2.74326],
    ),
    "no noise": (
        {"noise": False},
        {},
        [0.88866, 3.54362, -2.36024, 0.82585, 3.29023, -2.51598, 1.39034, 3.02670, -2.92092],
    ),
}
"""{case: (of random_tensors, attributes, RGB of a pixel of image 0, of image 1, of image 0 truncated by 0.5)}."""


def pixels(path: Path) -> list[float]:
    found = load_file(path)
    z = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 8)).astype(np.float32))
    images, truncated = found(z), found.synthesize(found.truncate(found.to_w(z), 0.5))
    return [*images[0, :, 3, 5].tolist(), *images[1, :, 12, 9].tolist(), *truncated[0, :, 3, 5].tolist()]


def write(path: Path, content: Any, protocol: int = 3) -> Path:
    path.write_bytes(dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_protocol_gives_the_golden_images(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    module = generator(golden_tensors(), source=f"open({str(marker)!r}, 'w')")
    path = write(tmp_path / "network.pkl", snapshot(module), protocol)
    golden = {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / "stylegan2_rosinality.npz").items()}
    found = load_file(path)
    torch.testing.assert_close(found(golden["z"]), golden["image"], rtol=1e-4, atol=1e-4)
    convert_checkpoint(path, tmp_path / "network.safetensors")
    assert torch.equal(load_file(tmp_path / "network.safetensors")(golden["z"]), found(golden["z"]))
    assert not marker.exists()


def test_snapshots_here_name_what_genuine_ones_name() -> None:
    content = dumps(snapshot(generator(random_tensors(), conv_clamp=256)), 2)
    assert {argument for opcode, argument, _ in pickletools.genops(content) if opcode.name == "GLOBAL"} == NAMES


@pytest.mark.parametrize("case", EXPECTED)
@pytest.mark.parametrize("protocol", [2, 3])
def test_images_are_those_of_the_public_code(case: str, protocol: int, tmp_path: Path) -> None:
    tensors, attributes, expected = EXPECTED[case]
    path = write(tmp_path / "network.pkl", snapshot(generator(random_tensors(**tensors), **attributes)), protocol)
    assert pixels(path) == pytest.approx(expected, abs=1e-4)
    convert_checkpoint(path, tmp_path / "network.safetensors")
    assert pixels(tmp_path / "network.safetensors") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "stored",
    [
        {"location": "cuda:0"},
        {"location": "cuda:3", "kind": "torch.cuda.FloatStorage"},
        {"last": True},  # as --nhwc trains them
    ],
)
def test_tensors_saved_from_gpus_and_with_channels_last(stored: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "network.pkl", snapshot(generator(random_tensors(), **stored)))
    assert pixels(path) == pytest.approx(EXPECTED["skip"][2], abs=1e-4)


def test_names_of_other_snapshots(tmp_path: Path) -> None:
    """What forks keep next to the network: harmless containers, which are read and dropped."""
    content = snapshot(generator(random_tensors())) | {
        "device": Call("torch.device", "cuda", 0),
        "dtype": [torch.float32, torch.float16],
        "size": torch.Size([3, 4]),
        "frozen": frozenset({1, 2}),
        "complex": 1 + 2j,
        "bytes": [b"", b"\x00\xff", bytearray(), bytearray(b"\x80")],
        "counts": Call("collections.defaultdict", list),
        "array": np.arange(6.0).reshape(2, 3),
        "number": number(0.5),
    }
    for protocol in range(6):
        path = write(tmp_path / "network.pkl", content, protocol)
        assert pixels(path) == pytest.approx(EXPECTED["skip"][2], abs=1e-4)


def test_a_network_inside_data_parallel(tmp_path: Path) -> None:
    wrapped = Module("DataParallel")
    wrapped.state["_modules"]["module"] = generator(random_tensors(), conv_clamp=1)

    class DataParallel:
        written_as = "torch.nn.parallel.data_parallel.DataParallel"

    outer = DataParallel()
    outer.__dict__.update(wrapped.state)
    path = write(tmp_path / "network.pkl", {"G_ema": outer})
    assert pixels(path) == pytest.approx(EXPECTED["clamp at 1"][2], abs=1e-4)


# ---------------------------------------------------------------------- variants, each by its own name


def altered(key: str, array: np.ndarray) -> dict[str, np.ndarray]:
    return random_tensors() | {key: array}


VARIANTS: dict[str, tuple[dict[str, np.ndarray], dict[str, Any], str]] = {
    "resnet": (random_tensors("resnet"), {}, "architecture 'resnet', made of residual blocks; expected 'skip'"),
    "orig": (random_tensors("orig"), {}, "architecture 'orig'.*expected 'skip', where every resolution adds"),
    "conditional": (random_tensors(labels=10), {}, "conditional on labels; expected an unconditional"),
    "relu": (random_tensors(), {"activation": "relu"}, "activation 'relu', expected 'lrelu'"),
    "rate": (random_tensors(), {"rate": 0.1}, "mapping.fc0 has the learning rate 0.1, expected 0.01"),
    "clamp": (random_tensors(), {"conv_clamp": -1}, "clamps its convolutions at no single positive number"),
    "filter": (
        altered("synthesis.b8.resample_filter", np.full((4, 4), 1 / 16, np.float32)),
        {},
        r"synthesis.b8.resample_filter is another filter than \[1, 3, 3, 1\]",
    ),
    "gray": (
        altered("synthesis.b4.torgb.weight", np.zeros((1, 8, 1, 1), np.float32)),
        {},
        r"synthesis.b4.torgb.weight has shape \[1, 8, 1, 1\], expected \[3, \?, 1, 1\]",
    ),
    "StyleGAN3": ({"synthesis.L0_36_512.weight": np.zeros((2, 2), np.float32)}, {}, "is a StyleGAN3 generator"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_refused_by_name(variant: str, tmp_path: Path) -> None:
    tensors, attributes, message = VARIANTS[variant]
    path = write(tmp_path / "network.pkl", snapshot(generator(tensors, **attributes)))
    with pytest.raises(GeneratorError, match=message) as caught:
        load_file(path)
    assert "incomplete" not in str(caught.value)
    assert "\n" not in str(caught.value)
    if attributes:  # which a state dict does not carry
        return
    state = {key: torch.from_numpy(array) for key, array in tensors.items()}
    torch.save({"G_ema": state}, tmp_path / "network.pt")
    with pytest.raises(GeneratorError, match=message):
        load_file(tmp_path / "network.pt")


def test_a_missing_tensor_is_still_called_missing(tmp_path: Path) -> None:
    for key in ("synthesis.b8.torgb.weight", "synthesis.b8.conv1.noise_const", "mapping.fc0.bias"):
        tensors = random_tensors()
        del tensors[key]
        with pytest.raises(GeneratorError, match=f"tensor {key} is missing; the checkpoint is incomplete"):
            load_file(write(tmp_path / "network.pkl", snapshot(generator(tensors))))
    tensors = {key: array for key, array in random_tensors().items() if ".b8." not in key}
    with pytest.raises(GeneratorError, match=r"expected resolutions 4, 8, 16, ..., found \[4, 16\]"):
        load_file(write(tmp_path / "network.pkl", snapshot(generator(tensors))))


def test_content_without_a_generator(tmp_path: Path) -> None:
    for content in ({"weights": 3}, [], {"G_ema": EasyDict()}, {"G_ema": None, "D": {}}):
        with pytest.raises(GeneratorError, match="holds no generator; expected a state dict, a dict with G_ema"):
            load_file(write(tmp_path / "network.pkl", content))


# ---------------------------------------------------------------------- files by content, whatever their names

NAMES_OF_FILES = ("net.pkl", "net.pt", "net.pth", "net.safetensors", "net.bin", "net", "net.pkl.part", "a b.PKL")


def state_dict() -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(array.copy()) for key, array in random_tensors().items()}


def contents(folder: Path) -> dict[str, bytes]:
    """{kind: one generator, as a file of that kind}."""
    source = write(folder / "source", snapshot(generator(random_tensors())))
    convert_checkpoint(source, folder / "converted")
    torch.save({"G_ema": state_dict()}, folder / "zip")
    torch.save({"G_ema": state_dict()}, folder / "legacy", _use_new_zipfile_serialization=False)
    torch.save({f"module.{key}": value for key, value in state_dict().items()}, folder / "wrapped")
    read = {name: (folder / name).read_bytes() for name in ("converted", "zip", "legacy", "wrapped")}
    tensors = {key: tensor(array) for key, array in random_tensors().items()}
    return read | {f"pickle {protocol}": dumps({"G_ema": tensors}, protocol) for protocol in (0, 2, 3)}


def test_files_are_recognised_by_content(tmp_path: Path) -> None:
    for kind, content in contents(tmp_path).items():
        for name in NAMES_OF_FILES:
            path = tmp_path / name
            path.write_bytes(content)
            assert pixels(path) == pytest.approx(EXPECTED["skip"][2], abs=1e-4), (kind, name)
            path.unlink()


def test_conversion_writes_the_bound_of_the_convolutions(tmp_path: Path) -> None:
    path = write(tmp_path / "network.pt", snapshot(generator(random_tensors(), conv_clamp=256)))
    convert_checkpoint(path, tmp_path / "network.safetensors")
    assert safetensors.torch.load_file(tmp_path / "network.safetensors")["synthesis.conv_clamp"] == 256


def test_clamped_layers_compose_and_render(tmp_path: Path) -> None:
    found = load_file(write(tmp_path / "network.pkl", snapshot(generator(random_tensors(), conv_clamp=1))))
    z = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 1, 8)).astype(np.float32))
    whole = found(z[:, 0])
    for layer in range(1, found.layers + 1):
        features = found.compose(z, torch.ones(2, 1, found.layer_channels(layer)), layer)
        style = found.to_w(z[:, 0]).requires_grad_()
        image = found.render(features, layer, style)
        torch.testing.assert_close(image, whole, rtol=1e-4, atol=1e-4)
        (gradient,) = torch.autograd.grad(image.sum(), style)
        assert torch.isfinite(gradient).all()


def test_an_ordered_state_dict_that_carries_versions(tmp_path: Path) -> None:
    """`pickle.dump(dict(G_ema=network.state_dict()))`: its `_metadata` is an attribute of the dictionary."""
    network = torch.nn.Linear(2, 2)
    assert hasattr(network.state_dict(), "_metadata")
    state = network.state_dict()
    state.clear()
    state.update({key: tensor(array) for key, array in random_tensors().items()})
    for protocol in (2, 3, 4):
        path = write(tmp_path / "network.pkl", {"G": 1, "G_ema": state}, protocol)
        assert pixels(path) == pytest.approx(EXPECTED["skip"][2], abs=1e-4)
