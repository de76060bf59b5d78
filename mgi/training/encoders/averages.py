"""The running average of a network's weights, which is what is kept of a training."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, images: float, batch: int, half_life: float) -> None:
    """Move an average towards the network; buffers are copied.

    Args:
        average: changed in place.
        network: as it is after a step.
        images: seen so far, those of this step included; an average of few images forgets faster.
        batch: images of this step.
        half_life: images after which half of a weight is forgotten.
    """
    keep = 0.5 ** (batch / min(half_life, max(images / 20, 1)))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
    for own, new in zip(average.buffers(), network.buffers(), strict=True):
        own.copy_(new)
