"""A restoration network before an inversion: any ONNX file from pictures to pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgi.config import ConfigError
from mgi.restoring import Restorer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def network(path: Path, rows: int | None = 8, channels: int = 3, kind: int = 1, **more: Any) -> Path:
    """Twice the input's size, each value times -1."""
    size: Any = rows or "rows"
    inputs = [onnx.helper.make_tensor_value_info("seen", kind, [1, channels, size, size])]
    if more.get("second"):
        inputs.append(onnx.helper.make_tensor_value_info("noise", kind, [1]))
    constants = [
        onnx.helper.make_tensor("scales", onnx.TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0]),
        onnx.helper.make_tensor("minus", onnx.TensorProto.FLOAT, [1], [-1.0]),
    ]
    nodes = [onnx.helper.make_node("Mul", ["seen", "minus"], ["turned"])]
    nodes += [onnx.helper.make_node("Resize", ["turned", "", "scales"], ["out"], mode="nearest")]
    output = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph(nodes, "twice", inputs, [output], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_pictures_go_through_it_one_by_one(tmp_path: Path) -> None:
    pictures = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = -pictures.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for rows in (8, None):
        found = Restorer(network(tmp_path / "net.onnx", rows))(pictures)
        torch.testing.assert_close(found, expected)
    flat = torch.full((1, 3, 32, 32), 0.5)
    torch.testing.assert_close(Restorer(network(tmp_path / "net.onnx"))(flat), torch.full((1, 3, 16, 16), -0.5))


def test_what_is_no_such_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    cases = {
        r"found no .*nowhere\.onnx": tmp_path / "nowhere.onnx",
        r"text\.onnx is no readable ONNX network": tmp_path / "text.onnx",
        r"expected one input \[1, 3, H, W\].* found seen \[1, 4, 8, 8\]": network(tmp_path / "four.onnx", channels=4),
        r"expected one input .*, found seen .*, noise": network(tmp_path / "two.onnx", second=True),
    }
    for message, path in cases.items():
        with pytest.raises(ConfigError, match=message) as caught:
            Restorer(path)
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"needs the package onnxruntime; run `pip install 'mgi\[restore\]'`"):
        Restorer(tmp_path / "four.onnx")


def test_an_encoder_reads_what_was_restored(tmp_path: Path) -> None:
    """The picture that the encoder sees is the network's, not the user's."""
    from test_encoder_methods import NAME, file_of, method

    from mgi.encoders.codes import measure_codes
    from mgi.weights import load_generator

    generator = load_generator(NAME)
    file = file_of(tmp_path, generator, measure_codes(generator, 16, 500))
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    turned = method(file, **{"options.restore": str(network(tmp_path / "net.onnx", None))})
    plain = method(file)
    twice = (255 - picture).repeat(2, axis=0).repeat(2, axis=1)
    torch.testing.assert_close(turned.styles_of(picture), plain.styles_of(twice), atol=1e-3, rtol=1e-3)
    assert (turned.styles_of(picture) - plain.styles_of(picture)).abs().max() > 1e-3
