"""numpy's arrays, types and numbers as pickles write them; bytes are checked against shapes first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mgi.generators.pickled.budget import spend
from mgi.generators.pickled.refused import Refused


class DType:
    """`numpy.dtype`: numbers only."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        try:
            self.value = np.dtype(name if isinstance(name, str) else "O")
        except (TypeError, ValueError, SyntaxError):
            raise Refused(f"holds an array of the unknown type {str(name)[:40]!r}") from None
        if self.value.kind not in "biuf" or self.value.itemsize > 8:
            raise Refused(f"holds an array of {self.value} objects, expected numbers")

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        if order == "<":
            self.value = self.value.newbyteorder("<")
        elif order == ">":
            self.value = self.value.newbyteorder(">")


class Array:
    """`numpy.ndarray`; `finished` once its bytes were checked against its shape."""

    def __init__(self) -> None:
        self.finished: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        try:
            _, shape, dtype, fortran, data = state
        except (TypeError, ValueError):
            raise Refused("holds an array without its bytes") from None
        self.finished = _filled(data, dtype, shape, "F" if fortran else "C")


def reconstruct(*_: Any) -> Array:
    """`numpy.core.multiarray._reconstruct`: an array; its state follows."""
    return Array()


def from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """`numpy.core.numeric._frombuffer`, which protocol 5 uses."""
    array = Array()
    array.finished = _filled(bytes(data) if isinstance(data, bytearray) else data, dtype, shape, order)
    return array


def scalar(dtype: Any, data: Any = b"") -> Any:
    """`numpy.core.multiarray.scalar`: one number."""
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(dtype, DType) or not isinstance(raw, bytes) or len(raw) != dtype.value.itemsize:
        raise Refused("holds a number without a type")
    return np.frombuffer(raw, dtype.value)[0].item()


def array_of(value: Any) -> np.ndarray | None:
    """The array behind a variable's value; None if it is not an array."""
    return value.finished if isinstance(value, Array) else None


def _filled(data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    try:
        sizes = tuple(int(size) for size in shape)
        if isinstance(data, str):  # as Python 2 wrote bytes
            data = data.encode("latin1")
        if not isinstance(data, bytes) or len(data) != math.prod(sizes) * dtype.value.itemsize:
            raise ValueError
        found = np.frombuffer(data, dtype.value).reshape(sizes, order="F" if order == "F" else "C")
    except (TypeError, ValueError, AttributeError):
        raise Refused("holds an array whose bytes do not fit its shape") from None
    spend(found.nbytes)
    return found.astype(found.dtype.newbyteorder("="), copy=False)
