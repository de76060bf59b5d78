"""The constants of an ONNX file, read from its protocol buffer without a package for either.

Of the format only what is needed: a message is a row of fields, each a key (number and wire type) and a value. Tensors
lie at ModelProto.graph (7), GraphProto.initializer (5).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_FLOAT = 1
_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _FLOAT_DATA, _NAME, _RAW_DATA = 1, 2, 4, 8, 9


def initializers(model: bytes) -> dict[str, np.ndarray]:
    """{name: float32 array} of the constants of an ONNX model; those of other types are left out.

    Raises:
        ValueError: it is no protocol buffer, or a tensor is not as large as its shape.
    """
    found: dict[str, np.ndarray] = {}
    for graph in _inside(memoryview(model), _GRAPH):
        for tensor in _inside(graph, _INITIALIZER):
            name, array = _tensor(tensor)
            if array is not None:
                found[name] = array
    return found


def _tensor(message: memoryview) -> tuple[str, np.ndarray | None]:
    name, shape, kind, data = "", list[int](), 0, memoryview(b"")
    for number, value in _fields(message):
        if number == _DIMS:
            shape += [value] if isinstance(value, int) else list(_varints(value))
        elif number == _DATA_TYPE and isinstance(value, int):
            kind = value
        elif number == _NAME and isinstance(value, memoryview):
            name = str(value, "utf-8")
        elif number in (_RAW_DATA, _FLOAT_DATA) and isinstance(value, memoryview):
            data = value
    if kind != _FLOAT:
        return name, None
    if len(data) != 4 * math.prod(shape):
        raise ValueError(f"the ONNX file has {len(data)} bytes for {name}, expected float32 {shape}")
    return name, np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)


def _inside(message: memoryview, number: int) -> Iterator[memoryview]:
    return (value for found, value in _fields(message) if found == number and isinstance(value, memoryview))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of every field: varints as numbers, everything else as its bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"this is no ONNX file: field of wire type {kind}")
        if at + size > len(message):
            raise ValueError("the ONNX file is cut off")
        yield key >> 3, message[at : at + size]
        at += size


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for position, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, at + position + 1
    raise ValueError("the ONNX file is cut off")
