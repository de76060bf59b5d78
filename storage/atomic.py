"""Files that are either whole or absent: written under another name, then renamed."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from storage.parts import ENDING, prefix_of


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
    try:
        descriptor, name = _temporary(final)
    except FileNotFoundError:
        final.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = _temporary(final)
    temporary = Path(name)
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


_numbers = itertools.count()


def _temporary(final: Path) -> tuple[int, str]:
    """(descriptor, name) of a new file beside `final`, with the permissions of an ordinary one."""
    while True:
        name = f"{final.parent}/{prefix_of(final)}{next(_numbers)}{ENDING}"
        with contextlib.suppress(FileExistsError):  # of a dead process with our number
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), name


def _sync_folder(folder: Path) -> None:
    # Without this the rename itself may be lost in a power cut. Not every platform can open a folder.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
