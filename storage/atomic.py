"""Files that are either whole or absent: written under another name, then renamed."""

from __future__ import annotations

import contextlib
import os
import tempfile
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
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files; a result is an ordinary file
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


def _temporary(final: Path) -> tuple[int, str]:
    return tempfile.mkstemp(dir=final.parent, prefix=prefix_of(final), suffix=ENDING)


def _umask() -> int:
    # The only portable way to read it is to set it; workers are processes, so no thread of ours races for it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    # Without this the rename itself may be lost in a power cut. Not every platform can open a folder.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
