"""Files that are either whole or absent: written under another name, then renamed."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from storage.parts import ENDING, prefix_of

PIECE = 1 << 20
"""Bytes that are compared at a time."""
MOST_FOLDERS = 5
"""How often a folder is made for one file."""


def write_bytes(path: str | Path, data: bytes, flush: bool = True) -> bool:
    """Make `path` hold exactly `data`; nobody ever sees a part of it under that name.

    A file that already holds `data` is left alone, so its time stamp tells when it last changed.

    Args:
        path, data: the file and its content.
        flush: wait until it is on the disk. Otherwise it survives the death of this process but perhaps not a crash of
            the machine; that is enough for what is checked before it is trusted (see `storage.boot`).

    Returns:
        Whether the file was written.

    Raises:
        OSError: as the operating system reports it (no space, no permission); the old file is then untouched and no
            temporary file is left behind.
    """
    final = Path(path)
    with contextlib.suppress(FileNotFoundError):
        if final.stat().st_size == len(data) and final.read_bytes() == data:
            return False
    descriptor, temporary = _temporary(final)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if flush:
        _sync_folder(final.parent)
    return True


def write_text(path: str | Path, text: str) -> bool:
    """`write_bytes` of UTF-8 text."""
    return write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """`write_bytes` for what is too large to hold: yields a file whose content `path` has once the block has ended.

    If the block raises, or `path` held the same before, `path` is left alone.

    Args:
        path: the file.

    Raises:
        OSError: as `write_bytes`.
    """
    final = Path(path)
    descriptor, temporary = _temporary(final)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            changed = not _same(temporary, final)
            if changed:
                os.fsync(file.fileno())
        if changed:
            temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    if changed:
        _sync_folder(final.parent)


def _same(one: Path, other: Path) -> bool:
    try:
        if one.stat().st_size != other.stat().st_size:
            return False
        with one.open("rb") as left, other.open("rb") as right:
            return all(piece == right.read(PIECE) for piece in iter(lambda: left.read(PIECE), b""))
    except FileNotFoundError:
        return False


_numbers = itertools.count()


def _temporary(final: Path) -> tuple[int, Path]:
    """A descriptor and a name next to `final`, with the permissions of an ordinary file; makes the folder if needed."""
    made = 0
    while True:
        name = f"{final.parent}/{prefix_of(final)}{next(_numbers)}{ENDING}"
        try:
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), Path(name)
        except FileExistsError:  # of a dead process that had our number
            continue
        except FileNotFoundError:
            # Another process may remove the folder in between. But some, such as /proc, exist and take no new files.
            if made == MOST_FOLDERS:
                raise
            made += 1
            final.parent.mkdir(parents=True, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    # Without this the rename itself may be lost in a power cut. Not every platform can open a folder.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
