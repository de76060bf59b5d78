"""PyTorch's tensors as a pickle outside `torch.save` writes them: views of storages in the old file format."""

from __future__ import annotations

import io
import math
from typing import Any

import torch
from torch import Tensor

from mgi.generators.pickled.budget import spend
from mgi.generators.pickled.refused import Refused

MAX_NUMBERS = 2**31
"""Numbers in one tensor: ten times the largest layer of any published generator."""

LEGACY_MAGIC = b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
"""How PyTorch's old file format begins, after the opcodes that name the protocol."""


def is_legacy(head: bytes) -> bool:
    """Whether a file's first 32 bytes are those of PyTorch's old format."""
    return head[:1] == b"\x80" and LEGACY_MAGIC in head[:32]


def storage(data: Any) -> torch.TypedStorage:
    """`torch.storage._load_from_bytes`: a file in a file. PyTorch of every version writes the old format there.

    It is read to the CPU, wherever it was saved from (such as `cuda:0`, a torch.cuda.FloatStorage). PyTorch compares
    the length that the file states with the bytes that are there.
    """
    if not isinstance(data, bytes):
        raise Refused("holds a storage that is not bytes")
    spend(len(data))
    try:
        if not is_legacy(data):  # the new format could be a compressed archive that is larger than the memory
            raise ValueError
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:
        raise Refused("holds a storage that is more than numbers") from None
    if not isinstance(found, torch.TypedStorage):
        raise Refused("holds a storage that is more than numbers")
    return found


def tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """`torch._utils._rebuild_tensor_v2`: a view, so many tensors over one storage take no more memory."""
    if not isinstance(storage, torch.TypedStorage) or len(size) != len(stride):
        raise Refused("holds a tensor without its numbers")
    if any(int(value) < 0 for value in (*size, *stride, offset)):
        raise Refused("holds a tensor of negative extent")
    bytes_ = storage._untyped_storage
    there, numbers = bytes_.nbytes() // storage.dtype.itemsize, math.prod(int(length) for length in size)
    last = int(offset) + sum((int(length) - 1) * int(step) for length, step in zip(size, stride, strict=True))
    # PyTorch would enlarge a storage that is too small, and repeat one number a million times if a stride is zero.
    if numbers > min(there, MAX_NUMBERS) or (numbers and last >= there):
        raise Refused(f"holds a tensor of shape {list(size)} over {there} numbers")
    if any(int(length) > 1 and not step for length, step in zip(size, stride, strict=True)):
        raise Refused(f"holds a stride-0 tensor of shape {list(size)}, expected all of its numbers")
    return torch.empty(0, dtype=storage.dtype).set_(bytes_, int(offset), tuple(size), tuple(stride))


def parameter(data: Any, *_: Any) -> Tensor:
    """`torch._utils._rebuild_parameter`."""
    if not isinstance(data, Tensor):
        raise Refused("holds a parameter that is no tensor")
    return data


def refuse(kind: str) -> Any:
    """A builder for tensors of another kind: its error names the kind."""

    def refused(*_: Any) -> Any:
        raise Refused(f"holds a {kind} tensor, expected plain numbers; convert it to a dense one before saving")

    return refused
