"""Memory of this process: keep big buffers mapped between steps, and measure what a piece of work needs.

glibc gives every buffer above 32 MiB back to the kernel the moment it is freed, so an optimisation loop whose
activations are 64 MiB each spends most of its time in page faults: a depthwise convolution of 64 x 512 x 512 took 44 ms
with fresh pages and 10 ms with kept ones (docs/benchmarks.md). One call at the start of a process stops that.

Kept pages also mean that the size of the process says nothing about one piece of work, so that is asked of the heap.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any, ClassVar, Self

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
MIB = 2**20
PERIOD = 0.02
"""Seconds between two looks at the heap; shorter peaks may be missed."""


def keep_freed_memory() -> bool:
    """Serve all allocations from the heap and never shrink it. True if that worked (Linux with glibc)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another libc: slower, but not wrong
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


class WorkingMemory:
    """How much memory a piece of work needs at its peak, beyond what was there before it.

        with WorkingMemory() as memory:
            ...
        memory.mib

    Of CUDA's allocator if the process uses a GPU, exactly; else of the heap, every 20 ms. `mib` is None where neither
    can be asked (no glibc).
    """

    def __init__(self) -> None:
        self.mib: float | None = None
        self._in_use = _heap()
        self._before = self._peak = 0
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True, name="memory")

    def __enter__(self) -> Self:
        """Begin to look."""
        if (cuda := _cuda()) is not None:
            cuda.reset_peak_memory_stats()
            self._before = cuda.memory_allocated()
        elif self._in_use is not None:
            self._before = self._peak = self._in_use()
            self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Look once more, and stop."""
        if (cuda := _cuda()) is not None:
            self.mib = max(0, cuda.max_memory_allocated() - self._before) / MIB
        elif self._in_use is not None and self._watch.ident is not None:
            self._ended.set()
            self._watch.join()
            self.mib = max(self._peak, self._in_use()) / MIB - self._before / MIB
            self.mib = max(self.mib, 0.0)

    def _look(self) -> None:
        assert self._in_use is not None
        while not self._ended.wait(PERIOD):
            self._peak = max(self._peak, self._in_use())


class _Mallinfo(ctypes.Structure):
    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


@cache
def _heap() -> Callable[[], int] | None:
    """Bytes in use on the heap, asked of glibc (2.33 or later)."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        mallinfo = ctypes.CDLL("libc.so.6").mallinfo2
    except (OSError, AttributeError):
        return None
    mallinfo.restype = _Mallinfo

    def in_use() -> int:
        found = mallinfo()
        return int(found.uordblks) + int(found.hblkhd)

    return in_use


def _cuda() -> Any:
    """`torch.cuda` if this process already computes on a GPU; importing PyTorch for it would take seconds."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized() else None
