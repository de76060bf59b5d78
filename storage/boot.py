"""Which start of the operating system this is.

What a process wrote survives its death (`kill -9`) in the kernel's memory; only a crash of the whole machine can lose
it. So a marker says under which boot it was written: under the same one, everything before it is certainly there and
nothing needs to be flushed file by file, which costs milliseconds each; under another one, its hashes are checked
before it counts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def boot_id() -> str | None:
    """An id that changes with every start of the machine; None where there is none (then everything is flushed)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
