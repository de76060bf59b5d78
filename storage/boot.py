"""Which boot of the operating system this is.

What a process wrote survives its death (`kill -9`) in the kernel's memory; only a crash of the whole machine can lose
it. So a marker says under which boot it was written. Under the same boot, everything written before it is certainly
there, and files need not be flushed one by one, which costs milliseconds each. Under another boot, its hashes are
checked before it counts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def boot_id() -> str | None:
    """An id that changes with every start of the machine; None if there is none (then everything is flushed)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
