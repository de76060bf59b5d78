"""Content on its way to the store: pieces of files, laid one after the other into objects.

A run has many small files, and a request costs the same for a small object as for one of megabytes. Large files are cut
into pieces, so that one that only grows, such as a log, is not sent again as a whole.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import BinaryIO

from storage.remote.bucket import Bucket
from storage.remote.manifest import Piece, Pieces

PIECE = 2**20
OBJECT = 8 * 2**20
"""Largest size of a piece and of an object, in bytes."""
AT_ONCE = 4
"""Objects that are sent at the same time, and held in memory meanwhile."""


class Upload:
    """A push's objects. A context manager; when it ends well, everything is in the store."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload")
        self._sent: set[Future[None]] = set()
        self._buffer, self._objects = bytearray(), 0

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._send()
                self._settle(0)
        finally:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def add(self, file: BinaryIO, before: Pieces) -> Pieces:
        """Take in a file's content; pieces that were there before, in the same order, are not sent again."""
        pieces: list[Piece] = []
        while data := file.read(PIECE):
            digest = hashlib.sha256(data).hexdigest()
            old = before[len(pieces)] if len(pieces) < len(before) else None
            pieces.append(old if old and old.sha256 == digest and old.length == len(data) else self._new(data, digest))
        return tuple(pieces)

    def _new(self, data: bytes, digest: str) -> Piece:
        if len(self._buffer) + len(data) > OBJECT:
            self._send()
        piece = Piece(digest, self._name, len(self._buffer), len(data))
        self._buffer += data
        return piece

    @property
    def _name(self) -> str:
        return f"{self._prefix}-{self._objects}"

    def _send(self) -> None:
        if self._buffer:
            self._sent.add(self._pool.submit(self._bucket.write, self._name, bytes(self._buffer)))
            self._buffer, self._objects = bytearray(), self._objects + 1
            self._settle(AT_ONCE - 1)

    def _settle(self, most: int) -> None:
        """Wait until at most so many objects are on their way."""
        while len(self._sent) > most:
            done, self._sent = wait(self._sent, return_when=FIRST_EXCEPTION if most == 0 else "FIRST_COMPLETED")
            for one in done:
                one.result()
