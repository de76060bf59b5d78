"""Writing safetensors so that the same tensors always give the same bytes.

`safetensors.save_file` may order its header differently from version to version, and the zoo pins the sha256 of
converted files. The format is small enough to write here: an 8-byte little-endian length, a JSON header padded with
spaces to a multiple of 8, and the raw tensors. Files are read with the safetensors library like any other.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "uint8": "U8",
    "int8": "I8",
    "bool": "BOOL",
}


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write `tensors`, sorted by name, and `metadata` to `path`, and flush them to the disk.

    The file appears whole or not at all.

    Raises:
        ValueError: a tensor has a dtype outside float64, float32, float16, int64, int32, int8, uint8 and bool.
        OSError: the disk is full or the folder cannot be written; an older file is then untouched.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    # Widest dtype first keeps every tensor aligned, which readers that map the file rely on.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    for name in names:
        array = tensors[name]
        if array.dtype.name not in _DTYPES:
            raise ValueError(f"tensor {name} has dtype {array.dtype}; expected one of {', '.join(_DTYPES)}")
        span = [offset, offset + array.nbytes]
        header[name] = {"dtype": _DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": span}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in names:
                array = np.ascontiguousarray(tensors[name])
                file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
