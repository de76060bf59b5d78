"""How many workers a machine can run, and how many threads each of them gets."""

from __future__ import annotations

import os

CORES_PER_WORKER = 8
"""PyTorch's convolutions gain little from more threads than this."""
BYTES_PER_WORKER = 4 * 2**30
"""The most memory that one worker may need."""


def visible_gpus() -> list[str]:
    """Names, for CUDA_VISIBLE_DEVICES, of the GPUs that PyTorch may use here; empty on a machine without one."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None and not chosen.strip():
        return []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return chosen.split(",")[:count] if chosen else [str(number) for number in range(count)]


def default_workers(cores: int | None = None, memory: int | None = None, gpus: int | None = None) -> int:
    """What `--workers auto` means on this machine.

    One worker per GPU; with one GPU, none (the flow's process uses it). On CPUs one worker per 8 cores, if there are 4
    GiB of memory for each, and none if that gives fewer than two.

    Example:
        >>> default_workers(cores=2, memory=24 * 2**30, gpus=0)
        0
        >>> default_workers(cores=64, memory=24 * 2**30, gpus=0)
        6
        >>> default_workers(cores=16, memory=24 * 2**30, gpus=4)
        4
    """
    gpus = len(visible_gpus()) if gpus is None else gpus
    if gpus:
        return gpus if gpus > 1 else 0
    workers = min((cores or usable_cores()) // CORES_PER_WORKER, (memory or total_memory()) // BYTES_PER_WORKER)
    return workers if workers > 1 else 0


def threads_per_worker(workers: int, cores: int | None = None) -> int:
    """CPU threads of PyTorch in each of `workers` processes (0: the flow's own process).

    Example:
        >>> threads_per_worker(0, cores=8), threads_per_worker(3, cores=8), threads_per_worker(9, cores=8)
        (8, 2, 1)
    """
    return max(1, (cores or usable_cores()) // max(workers, 1))


def usable_cores() -> int:
    """Cores that this process may run on, which can be fewer than the machine has in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def total_memory() -> int:
    """Physical memory in bytes; if the system does not tell, the need of one worker."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return BYTES_PER_WORKER
