"""Constants of an ONNX file, against the package that the format comes from."""

from __future__ import annotations

import numpy as np
import pytest

from mgi.weights.convert.onnx import initializers

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5


def model() -> bytes:
    onnx = pytest.importorskip("onnx")
    make, float32 = onnx.helper.make_tensor, onnx.TensorProto.FLOAT
    constants = [
        onnx.numpy_helper.from_array(VALUES, "raw"),
        make("listed", float32, [3, 2], VALUES.flatten().tolist()),
        make("scalar", float32, [], [7.0]),
        make("whole", onnx.TensorProto.INT64, [2], [1, 2]),
    ]
    graph = onnx.helper.make_graph([], "constants", [], [], constants, doc_string="before and after")
    return bytes(onnx.helper.make_model(graph).SerializeToString())


def test_arrays_are_those_of_the_package() -> None:
    found = initializers(model())
    assert set(found) == {"raw", "listed", "scalar"}, "whole numbers are left out"
    assert np.array_equal(found["raw"], VALUES) and found["raw"].dtype == np.float32
    assert np.array_equal(found["listed"], VALUES.reshape(3, 2)) and found["scalar"].shape == ()


@pytest.mark.parametrize("cut", [1, 20, 70])
def test_a_file_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="ONNX file"):
        initializers(model()[:-cut])


def test_a_tensor_that_is_smaller_than_its_shape_is_refused() -> None:
    tensor = b"\x08\x03\x10\x01\x42\x01w\x4a\x04\x00\x00\x80\x3f"  # three numbers are promised, one is there
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    with pytest.raises(ValueError, match=r"4 bytes for w, expected float32 \[3\]"):
        initializers(b"\x3a" + bytes([len(graph)]) + graph)
