"""HFGI's consultation fusion (Wang et al., CVPR 2022): what an inversion lost comes back into the generator's features.

The distortion map, picture minus result, is aligned to the (edited) result and read by a small network, which scales
and shifts the features at 64 rows. Names of parameters are those of the public code (`grid_align.*`, `residue.*`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.equalised import EqualisedConv
from mgi.features.ir_se50 import Block

ROWS = 64
"""Rows of the features that are fused."""
START = 0.1
"""Of the size of ordinary weights."""


class ScaledLeaky(nn.Module):
    """A leaky ReLU that keeps the variance."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.leaky_relu(x, 0.2) * math.sqrt(2)


def _entry(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.PReLU(outputs))


def _blocks(first: int, widths: Sequence[int], stride: int) -> nn.Sequential:
    inputs = [first, *widths[:-1]]
    steps = [stride] + [1] * (len(widths) - 1)
    return nn.Sequential(*(Block(i, o, s, excited=False) for i, o, s in zip(inputs, widths, steps, strict=True)))


def _bilinear(x: Tensor, rows: int) -> Tensor:
    return F.interpolate(x, size=(rows, rows), mode="bilinear", align_corners=False)


class Aligner(nn.Module):
    """ADA: distortion map and result, [B, 6, 256, 256] -> the map as it belongs to that result, [B, 3, 256, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_layer1 = _entry(6, 16)
        self.conv_layer2 = _blocks(16, (32, 32, 32), 2)
        self.conv_layer3 = _blocks(32, (48, 48, 48), 2)
        self.conv_layer4 = _blocks(48, (64, 64, 64), 2)
        self.dconv_layer1 = _blocks(112, (64, 32, 32), 1)
        self.dconv_layer2 = _blocks(64, (32, 16, 16), 1)
        self.dconv_layer3 = _blocks(32, (16, 3, 3), 1)

    def forward(self, x: Tensor) -> Tensor:
        """The aligned map."""
        first = self.conv_layer1(x)
        second = self.conv_layer2(first)
        third = self.conv_layer3(second)
        found = _bilinear(self.conv_layer4(third), third.shape[-1])
        found = _bilinear(self.dconv_layer1(torch.cat([found, third], 1)), second.shape[-1])
        found = _bilinear(self.dconv_layer2(torch.cat([found, second], 1)), first.shape[-1])
        aligned: Tensor = self.dconv_layer3(torch.cat([found, first], 1))
        return aligned


class Consultant(nn.Module):
    """The aligned map [B, 3, 256, 256] -> scale and shift [B, C, 64, 64] of the generator's features.

    Args:
        channels: C.
        width: channels inside of both heads; published: 512.
    """

    def __init__(self, channels: int = 512, width: int = 512) -> None:
        super().__init__()
        self.conv_layer1 = _entry(3, 32)
        self.conv_layer2 = _blocks(32, (48, 48, 48), 2)
        self.conv_layer3 = _blocks(48, (64, 64, 64), 2)

        def head() -> nn.Sequential:
            first, second = EqualisedConv(64, width, 3, padding=1), EqualisedConv(width, channels, 3, padding=1)
            return nn.Sequential(first, ScaledLeaky(), second)

        self.condition_scale3, self.condition_shift3 = head(), head()

    def start_small(self) -> None:
        """Change next to nothing, before training."""
        with torch.no_grad():
            for head in (self.condition_scale3, self.condition_shift3):
                next(head[-1].parameters()).mul_(START)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(scale, shift)."""
        seen = self.conv_layer3(self.conv_layer2(self.conv_layer1(x)))
        return _bilinear(self.condition_scale3(seen), ROWS), _bilinear(self.condition_shift3(seen), ROWS)


class Consultation(nn.Module):
    """Both networks, as a checkpoint has them; see `Consultant` for its arguments."""

    def __init__(self, channels: int = 512, width: int = 512) -> None:
        super().__init__()
        self.grid_align, self.residue = Aligner(), Consultant(channels, width)

    def forward(self, lost: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
        """Distortion map and (edited) result [B, 3, 256, 256] -> scale and shift."""
        found: tuple[Tensor, Tensor] = self.residue(self.grid_align(torch.cat([lost, shown], dim=1)))
        return found
