"""A shard of a Zarr v3 array: the encoded chunks of a block's pairs in one file, and an index at its end.

The bytes are those of zarr's `sharding_indexed` codec (a test checks that): the chunks one after the other, then for
every row of the block offset and length as little-endian uint64, both 2**64 - 1 for a row without a chunk, then the
index's CRC32C. Chunks come and go encoded: packing neither decodes nor encodes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import google_crc32c
import numpy as np

from storage.atomic import write_bytes

_NONE = 2**64 - 1
_CRC_BYTES = 4


class DamagedShard(RuntimeError):
    """The index of a shard cannot be read."""


def write_shard(path: Path, pieces: Mapping[int, bytes], rows: int) -> None:
    """Write a shard, whole or not at all, and wait until it is on the disk.

    Args:
        path: the file.
        pieces: {row within the block: encoded chunk}.
        rows: pairs of a block.
    """
    index = np.full((rows, 2), _NONE, "<u8")
    position = 0
    for row, piece in sorted(pieces.items()):
        index[row] = position, len(piece)
        position += len(piece)
    end = index.tobytes()
    crc = google_crc32c.value(end).to_bytes(_CRC_BYTES, "little")
    write_bytes(path, b"".join([*(piece for _, piece in sorted(pieces.items())), end, crc]))


def read_piece(path: Path, row: int, rows: int) -> bytes | None:
    """The encoded chunk of one row; None if there is no file, or the row has none.

    Raises:
        DamagedShard: the index is not what was written, or the file is too short.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        size = file.seek(0, 2)
        start = size - _index_bytes(rows)
        if start < 0:
            raise DamagedShard("it is cut off")
        file.seek(start)
        offset, length = map(int, _index(file.read(), rows)[row])
        if offset == _NONE:
            return None
        if offset + length > start:
            raise DamagedShard("it is cut off")
        file.seek(offset)
        return file.read(length)


def read_shard(path: Path, rows: int) -> dict[int, bytes]:
    """All pieces of a shard, {row: encoded chunk}; empty without a file. Raises DamagedShard."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    start = len(data) - _index_bytes(rows)
    if start < 0:
        raise DamagedShard("it is cut off")
    found = {}
    for row, (offset, length) in enumerate(_index(data[start:], rows).tolist()):
        if offset == _NONE:
            continue
        if offset + length > start:
            raise DamagedShard("it is cut off")
        found[row] = data[offset : offset + length]
    return found


def _index_bytes(rows: int) -> int:
    return 16 * rows + _CRC_BYTES


def _index(data: bytes, rows: int) -> np.ndarray:
    end = data[:-_CRC_BYTES]
    if google_crc32c.value(end).to_bytes(_CRC_BYTES, "little") != data[-_CRC_BYTES:]:
        raise DamagedShard("its index is not what was written")
    return np.frombuffer(end, "<u8").reshape(rows, 2)
