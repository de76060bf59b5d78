"""Whether a file is still the one that was read: by size and times, which are cheap, else by its content."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

UNREADABLE = ""
"""Stands for the hash of a file that is there and cannot be read."""

MACHINE_ERRORS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors of the machine; they say nothing about the file."""


class FileIdentity(NamedTuple):
    """One content of one file. `sha256` decides; equal size and times only save reading it.

    The time of the last change to the inode (`ctime_ns`) is included because copying and unpacking can set the other
    time to any value, and uncompressed pictures are all of one size.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str

    @property
    def stamp(self) -> tuple[int, int, int]:
        """What a look shows, without reading."""
        return self.size, self.mtime_ns, self.ctime_ns

    @classmethod
    def parse(cls, stored: Sequence[Any] | None) -> FileIdentity | None:
        """An identity, or None for no file, back from JSON."""
        return None if stored is None else cls(*stored)


class Looker:
    """Looks at files, at each file once, however often it is asked."""

    def __init__(self) -> None:
        self._stamps: dict[str, tuple[int, int, int] | None] = {}
        self._hashes: dict[str, str] = {}

    def identity(self, path: str, known: FileIdentity | None = None) -> FileIdentity | None:
        """Which file is at `path` now; None if there is none.

        Args:
            path: the file.
            known: what it was before. If size and times are the same, it counts as the same file and is not read.

        Raises:
            OSError: the machine is out of file handles or memory.
        """
        if path not in self._stamps:
            self._stamps[path] = _stamp(path)
        stamp = self._stamps[path]
        if stamp is None or (known is not None and known.stamp == stamp):
            return None if stamp is None else known
        if path not in self._hashes:  # read after the look, so a file replaced in between is checked again
            self._hashes[path] = _sha256(path)
        return FileIdentity(*stamp, self._hashes[path])


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path object for each of thousands would cost more than the look
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns) if stat.S_ISREG(found.st_mode) else None


def _sha256(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        if error.errno in MACHINE_ERRORS:
            raise
        return UNREADABLE
