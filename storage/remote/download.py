"""Content on its way from the store. No file holds what does not have the hash that was published."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from storage.remote.bucket import Bucket, RemoteError
from storage.remote.manifest import Piece, Pieces

TRIES = 3
"""How often a piece is read that does not arrive as it was published."""
BATCH = 32 * 2**20
"""Bytes that are read before they are written."""
AT_ONCE = 4


class Damaged(RemoteError):
    """An object is gone or not what was published; one line."""


def contents(bucket: Bucket, files: Mapping[str, Pieces]) -> Iterator[tuple[str, bytes | Damaged]]:
    """The content of published files, in whatever order is fast; of a damaged one, what is wrong with it.

    Raises:
        RemoteError: the store does not answer.
    """
    batch: dict[str, Pieces] = {}
    size = 0
    for path, pieces in sorted(files.items(), key=lambda item: item[1][:1]):
        batch[path] = pieces
        size += sum(piece.length for piece in pieces)
        if size > BATCH:
            yield from _batch(bucket, batch)
            batch, size = {}, 0
    yield from _batch(bucket, batch)


def _batch(bucket: Bucket, files: Mapping[str, Pieces]) -> Iterator[tuple[str, bytes | Damaged]]:
    wanted: dict[str, set[Piece]] = defaultdict(set)
    for pieces in files.values():
        for piece in pieces:
            wanted[piece.object].add(piece)
    got: dict[Piece, bytes | Damaged] = {}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="download") as pool:
        for found in pool.map(lambda item: _pieces(bucket, *item), wanted.items()):
            got |= found
    for path, pieces in files.items():
        parts = [got[piece] for piece in pieces]
        bad = next((part for part in parts if isinstance(part, Damaged)), None)
        yield path, bad or b"".join(part for part in parts if isinstance(part, bytes))


def _pieces(bucket: Bucket, name: str, wanted: set[Piece]) -> dict[Piece, bytes | Damaged]:
    """Pieces of one object; what does not have its hash is read again."""
    left = sorted(wanted, key=lambda piece: piece.start)
    got: dict[Piece, bytes | Damaged] = {}
    said = "is not what was published"
    for _ in range(TRIES):
        try:
            parts = bucket.pieces(name, [(piece.start, piece.length) for piece in left])
        except FileNotFoundError:
            said = "is gone"
            break
        got |= {piece: part for piece, part in zip(left, parts, strict=True) if _is_right(piece, part)}
        left = [piece for piece in left if piece not in got]
        if not left:
            break
    return {**got, **{piece: Damaged(f"{bucket.address}/{name} {said}") for piece in left}}


def _is_right(piece: Piece, data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == piece.sha256
