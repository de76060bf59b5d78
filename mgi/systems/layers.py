"""Layers that the systems share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["none", "batch", "running", "instance", "layer"]
SLOPE = 0.2


class LayerNorm2d(nn.Module):
    """Each picture's features with mean 0 and deviation 1 over channels and places, then a learnt scale and bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w]."""
        return F.group_norm(x, 1, self.weight, self.bias)


def norm_of(kind: Norm, channels: int) -> nn.Module:
    """A normalisation by name.

    `batch` uses the batch's own statistics in training and translation alike, as pix2pix does: nothing is tracked.
    `running` translates by averages over the training instead, so that a picture does not depend on its batch.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels, track_running_stats=False)
    if kind == "running":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels)
    return LayerNorm2d(channels) if kind == "layer" else nn.Identity()


def with_bias(kind: Norm) -> bool:
    """Whether a convolution before this normalisation needs a bias: one that removes means makes it idle."""
    return kind in ("none", "instance")


class ResidualBlock(nn.Module):
    """x + N(conv(relu(N(conv(x))))), both convolutions 3 x 3 with mirrored borders."""

    def __init__(self, channels: int, norm: Norm = "instance", activate: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__()
        bias = with_bias(norm)
        self.first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
        self.norms = nn.ModuleList([norm_of(norm, channels), norm_of(norm, channels)])
        self._activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        y = self._activate(self.norms[0](self.first(x)))
        found: Tensor = x + self.norms[1](self.second(y))
        return found


def normal_weights(network: nn.Module, deviation: float = 0.02) -> nn.Module:
    """Weights from N(0, 0.02), biases 0, scales of normalisations from N(1, 0.02), as pix2pix and CycleGAN start."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, deviation)
            nn.init.zeros_(module.bias)
    return network


def kaiming_weights(network: nn.Module) -> nn.Module:
    """He et al. 2015 (fan in), biases 0: how UNIT, MUNIT and StarGAN v2 start."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
