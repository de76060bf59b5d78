"""Reading NVIDIA's pickles without running anything that is in them.

A pickle names functions to call. Here every name is looked up in one exact table of inert stand-ins: containers,
numbers, arrays and tensors are built by this module, whose builders check sizes first; a persistent PyTorch object
becomes a plain record of its parameters, buffers and modules, and its embedded source is never looked at; a TensorFlow
network becomes a record of its state. Any other name is refused.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from mgi.generators.base import GeneratorError

MAX_NUMBERS = 2**31
"""Numbers in one tensor: ten times the largest layer of any published generator."""


class Refused(GeneratorError):
    """The pickle asks for something that reading tensors does not need."""


@dataclass
class Persistent:
    """A module of NVIDIA's PyTorch code: its class's name and its attributes."""

    class_name: str
    state: dict[str, Any]

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Parameters and buffers of this module and those below it, under dotted names."""
        found: dict[str, Tensor] = {}
        for kind in ("_parameters", "_buffers"):
            for name, value in _mapping(self.state.get(kind)).items():
                if isinstance(value, Tensor):
                    found[f"{prefix}{name}"] = value
        for name, module in _mapping(self.state.get("_modules")).items():
            if isinstance(module, Persistent):
                found |= module.tensors(f"{prefix}{name}.")
        return found


@dataclass
class Network:
    """A network of NVIDIA's TensorFlow code: whatever state it was pickled with."""

    state: dict[str, Any] = field(default_factory=dict)

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def variables(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Variables of this network and of its components (`synthesis/...`, `mapping/...`)."""
        found = {f"{prefix}{name}": value for name, value in _pairs(self.state.get("variables"))}
        for name, component in _mapping(self.state.get("components")).items():
            if isinstance(component, Network):
                found |= component.variables(f"{prefix}{name}/")
        return found


class _Array:
    """What a numpy array is while its pickle is read; `finished` once its bytes were checked against its shape."""

    def __init__(self) -> None:
        self.finished: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        try:
            _, shape, dtype, fortran, data = state
            dtype = dtype.value
            shape = tuple(int(size) for size in shape)
            if isinstance(data, str):
                data = data.encode("latin1")
            if not isinstance(data, bytes) or dtype.hasobject or len(data) != math.prod(shape) * dtype.itemsize:
                raise ValueError
            array = np.frombuffer(data, dtype)
            self.finished = array.reshape(shape, order="F" if fortran else "C")
        except (TypeError, ValueError, AttributeError):
            raise Refused("holds an array whose bytes do not fit its shape") from None


class _DType:
    """What `numpy.dtype(...)` is while its pickle is read: numbers only."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        try:
            self.value = np.dtype(name if isinstance(name, str) else "O")
        except TypeError:
            raise Refused(f"holds an array of the unknown type {str(name)[:40]!r}") from None
        if self.value.kind not in "biuf":
            raise Refused(f"holds an array of {self.value} objects, expected numbers")

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        if order == "<":
            self.value = self.value.newbyteorder("<")
        elif order == ">":
            self.value = self.value.newbyteorder(">")


class _EasyDict(dict[str, Any]):
    """dnnlib's dictionary."""


def _storage(data: Any) -> Any:
    if not isinstance(data, bytes):
        raise Refused("holds a storage that is not bytes")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:
        raise Refused("holds a storage that is more than numbers") from None


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, torch.TypedStorage) or len(size) != len(stride):
        raise Refused("holds a tensor without its numbers")
    if any(int(value) < 0 for value in (*size, *stride, offset)):
        raise Refused("holds a tensor of negative extent")
    bytes_ = storage._untyped_storage
    there, numbers = bytes_.nbytes() // storage.dtype.itemsize, math.prod(int(length) for length in size)
    last = int(offset) + sum((int(length) - 1) * int(step) for length, step in zip(size, stride, strict=True))
    # PyTorch would enlarge a storage that is too small, and repeat one number a million times where a stride is zero.
    if numbers > min(there, MAX_NUMBERS) or (numbers and last >= there):
        raise Refused(f"holds a tensor of shape {list(size)} over {there} numbers")
    return torch.empty(0, dtype=storage.dtype).set_(bytes_, int(offset), tuple(size), tuple(stride)).clone()


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _persistent(meta: Any) -> Persistent:
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise Refused("holds a persistent object without a class")
    return Persistent(meta["class_name"], _mapping(meta.get("state")))


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("encodes something else than bytes")
    return text.encode("latin1")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, _DType):
        raise Refused("holds a number without a type")
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, dtype.value)[0].item()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("dnnlib.util", "EasyDict"): _EasyDict,
    ("dnnlib", "EasyDict"): _EasyDict,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("dnnlib.tflib.network", "Network"): Network,
    ("tfutil", "Network"): Network,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    **{
        (f"numpy.{core}.multiarray", name): builder
        for core in ("core", "_core")
        for name, builder in (("_reconstruct", _reconstruct), ("scalar", _scalar))
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(f"asks for {module}.{name}, which reading weights does not need; nothing was run") from None

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("refers to data outside of itself")


def read_pickle(path: Path) -> Any:
    """The content of a pickle: dicts, tuples, numbers, `Persistent`, `Network`.

    Raises:
        Refused: it asks for anything else.
        GeneratorError: it is damaged.
    """
    try:
        with path.open("rb") as file:
            return _load(file)
    except Refused as error:
        raise Refused(f"{path} {error}") from None
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise GeneratorError(f"{path} is a damaged pickle ({reason}); get the file again") from None
    except (MemoryError, OverflowError, RecursionError):
        raise GeneratorError(f"{path} is a damaged pickle (it asks for more memory than there is)") from None


def _load(file: IO[bytes]) -> Any:
    # latin1: pickles of Python 2 carry array bytes as text.
    return _Unpickler(file, encoding="latin1").load()


def array_of(value: Any) -> np.ndarray | None:
    """The array behind a variable's value; None where it is none."""
    if isinstance(value, _Array):
        return value.finished
    return value if isinstance(value, np.ndarray) else None


def _mapping(value: Any) -> dict[str, Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _pairs(value: Any) -> list[tuple[str, np.ndarray]]:
    found = []
    for item in value if isinstance(value, list | tuple) else ():
        if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str):
            array = array_of(item[1])
            if array is not None:
                found.append((item[0], array))
            elif isinstance(item[1], int | float):
                found.append((item[0], np.asarray(item[1], np.float32)))
    return found
