"""The chunk of one pair in a Zarr v3 array, read and written directly as a file.

The bytes are those that zarr itself writes and reads (a test checks that). Zarr's own code takes an event loop and
several thread switches per chunk, about ten times as long as the work itself. A run has one chunk per array and pair,
so that would be most of the store's cost. Every chunk is written whole; see `storage.boot` for when it is on the disk,
and `storage.blocks` for the files that hold many.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from storage.array_spec import ArraySpec
from storage.atomic import write_bytes
from storage.boot import boot_id

_ZSTD = Zstd(level=0, checksum=True)
SHARD_BYTES = 2**25
"""A shard is read and written whole when a block is packed; it holds at most so many bytes, uncompressed."""
PAIR = "pair"
"""The name of every array's first axis."""
LOOSE = "row."
"""Before the number of a pair whose chunk is not packed yet, the name of its file."""


class DamagedChunk(RuntimeError):
    """The file of a chunk does not decode."""


def create_array(group: zarr.Group, name: str, pairs: int, spec: ArraySpec, block: int | None = None) -> None:
    """Make the array [pairs, *spec.shape] with one chunk per pair.

    zstd with a checksum: without it, flipped bits are read silently. Keys with dots: by zarr's default each chunk gets
    a new folder per axis, which cost more than its data. Where nothing is written yet, floats are NaN if the axes have
    names; arrays of earlier versions have none, and zeros.

    Args:
        group, name, pairs, spec: what it is.
        block: pairs whose chunks are kept in few files once they are packed, see `storage.blocks`. Until then each has
            a file of its own, which zarr does not see: two writers in one shard would lose data. None: a file each.
    """
    rows = shard_rows(spec.shape, spec.dtype, block) if block else 1
    group.create_array(
        name,
        shape=(pairs, *spec.shape),
        dtype=spec.dtype,
        chunks=(1, *spec.shape),
        shards=(rows, *spec.shape) if rows > 1 else None,
        compressors=ZstdCodec(level=0, checksum=True),
        chunk_key_encoding={"name": "default", "separator": "."},
        fill_value=fill_of(spec),
        dimension_names=None if spec.dims is None else (PAIR, *spec.dims),
        attributes=json.loads(json.dumps(spec.attributes or {}, sort_keys=True)),  # as the header keeps them
    )


def fill_of(spec: ArraySpec) -> float:
    """What rows read as that are not written yet."""
    return math.nan if spec.dims is not None and np.dtype(spec.dtype).kind == "f" else 0


def shard_rows(shape: tuple[int, ...], dtype: str, block: int) -> int:
    """Pairs whose chunks share a file: a block, halved until a shard takes little memory.

    Example:
        >>> shard_rows((256, 256, 3), "uint8", 64), shard_rows((1024, 1024, 3), "uint8", 64)
        (64, 8)
    """
    size = max(1, math.prod(shape) * np.dtype(dtype).itemsize)
    rows = block
    while rows > 1 and rows * size > SHARD_BYTES:
        rows //= 2
    return rows


def array_metadata(pairs: int, spec: ArraySpec, block: int | None = None) -> bytes:
    """What `create_array` writes into the array's zarr.json, for code that must write that file whole or not at all."""
    files: dict[str, Any] = {}
    create_array(zarr.open_group(MemoryStore(files), mode="w", zarr_format=3), "array", pairs, spec, block)
    return bytes(files["array/zarr.json"].to_bytes())


def group_metadata() -> bytes:
    """What zarr writes into the zarr.json of a group."""
    files: dict[str, Any] = {}
    zarr.open_group(MemoryStore(files), mode="w", zarr_format=3)
    return bytes(files["zarr.json"].to_bytes())


class ChunkFiles:
    """The shape of one array and the files of its chunks. Asking zarr takes longer than reading a small chunk."""

    def __init__(self, array: zarr.Array[Any], folder: Path) -> None:
        """Look at an array once.

        Args:
            array: made by `create_array`, in this or an earlier version.
            folder: the array's.
        """
        self.pairs: int = array.shape[0]
        self.shape: tuple[int, ...] = array.shape[1:]
        self.dtype: np.dtype[Any] = array.dtype
        self.rows: int = array.shards[0] if array.shards is not None else 1
        """Pairs whose chunks share a file once they are packed."""
        self._folder = str(folder)
        first: str = array.metadata.encode_chunk_key((0,) * len(array.shape))
        start, separator = first[0], first[1:2]
        self._begin, self._end = f"{start}{separator}", f"{separator}0" * len(self.shape)
        if first != self._name(0):
            raise ValueError(f"expected chunks named as zarr names them by default, found {first} in {folder}")

    def alone(self, pair_index: int) -> Path:
        """The file of one pair's chunk alone. Raises IndexError: the array has no such row."""
        if not 0 <= pair_index < self.pairs:
            raise IndexError(f"expected a pair index below {self.pairs}, found {pair_index}")
        name = f"{LOOSE}{pair_index}" if self.rows > 1 else self._name(pair_index)
        return Path(f"{self._folder}/{name}")

    def shard(self, pair_index: int) -> Path | None:
        """The file that one pair's chunk is packed into, with others; None if it keeps its own."""
        return Path(f"{self._folder}/{self._name(pair_index // self.rows)}") if self.rows > 1 else None

    def _name(self, number: int) -> str:
        return f"{self._begin}{number}{self._end}"


def write_chunk(path: Path, value: np.ndarray) -> None:
    """Write one pair's value. Raises OSError if it cannot be written; an older chunk is then untouched."""
    little_endian = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
    write_bytes(path, bytes(_ZSTD.encode(little_endian.tobytes())), flush=boot_id() is None)


def read_chunk(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
    """One pair's value, of `shape` and `dtype`; None if there is no file.

    Raises:
        DamagedChunk: the file does not decode to as many bytes as expected.
    """
    try:
        return decoded(path.read_bytes(), shape, dtype)
    except FileNotFoundError:
        return None


def decoded(encoded: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """The value of an encoded chunk. Raises DamagedChunk."""
    try:
        flat = np.frombuffer(_ZSTD.decode(encoded), dtype=dtype.newbyteorder("<"))
        return flat.reshape(shape).astype(dtype)
    except (RuntimeError, ValueError) as error:
        raise DamagedChunk(" ".join(str(error).split())[:120]) from None
