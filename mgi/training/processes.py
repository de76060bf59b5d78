"""The processes that train together: one, or as many as `torchrun` started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from mgi.config import ConfigError


@contextmanager
def processes() -> Iterator[tuple[int, int, torch.device]]:
    """(rank, processes, device) of this process; more than one if `torchrun` started them.

    Raises:
        ConfigError: `torchrun` started several, and this PyTorch cannot connect them.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", local) if gpu else torch.device("cpu")
    if world == 1:
        yield 0, 1, device
        return
    if gpu:
        torch.cuda.set_device(local)
    if not dist.is_available():
        raise ConfigError("this PyTorch has no torch.distributed; start mgi without torchrun")
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield rank, world, device
    finally:
        dist.destroy_process_group()
