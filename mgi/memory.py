"""Keep big buffers mapped between steps.

glibc gives every buffer above 32 MiB back to the kernel the moment it is freed, so an optimisation loop whose
activations are 64 MiB each spends most of its time in page faults: a depthwise convolution of 64 x 512 x 512 took 44 ms
with fresh pages and 10 ms with kept ones (docs/benchmarks.md). One call at the start of a process stops that.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Serve all allocations from the heap and never shrink it. True if that worked (Linux with glibc)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another libc: slower, but not wrong
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
