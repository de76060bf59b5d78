"""Names of half-written files, and which of them nobody will finish.

A name says which process writes the file. Killed processes leave such files behind; they are in nobody's way and only
take space. A file of a living process must stay: its last step is to rename it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import time
from functools import cache
from pathlib import Path

ENDING = ".part"
FOREIGN_SECONDS = 24 * 3600
"""A file whose writer cannot be asked, on another machine or of an earlier version, is left alone for so long after its
last change. Writing one takes seconds."""

_OURS = re.compile(r"\..*\.(?P<place>[0-9a-f]{8})-(?P<pid>[0-9]{1,10})\.[^.]*\.part")


def prefix_of(final: Path) -> str:
    """How the name of a half-written `final` begins, if this process writes it."""
    return f".{final.name[:40]}.{place()}-{os.getpid()}."


def sweep(folder: Path) -> int:
    """Remove what dead processes left below a folder; returns how many files. It lists every folder below once."""
    removed = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(ENDING) and is_stray(Path(parent, name)):
                with contextlib.suppress(OSError):
                    Path(parent, name).unlink()
                    removed += 1
    return removed


def is_stray(path: Path) -> bool:
    """Whether nobody will finish a half-written file or folder."""
    found = _OURS.fullmatch(path.name)
    if found and found["place"] == place():
        return not lives_here(int(found["pid"]))
    try:
        return time.time() - path.stat().st_mtime > FOREIGN_SECONDS
    except OSError:  # renamed meanwhile: it was finished
        return False


def lives_here(pid: int) -> bool:
    """Whether a process of this machine and container is alive."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's process
        return True
    return True


@cache
def place() -> str:
    """Where numbers of processes mean the same: this machine, and this container."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path, but a name such as pid:[4026531836]
    except OSError:
        space = ""
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]
