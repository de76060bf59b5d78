"""Scaling images down by a whole factor as published code does; this project itself uses means of cells.

All of them take [B, C, H, W] and give [B, C, H / factor, W / factor].
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.images import down

Downscale = Literal["mean", "bilinear", "bicubic"]


def downscale(images: Tensor, factor: int, kind: Downscale = "mean") -> Tensor:
    """The operator "down" of MGI equation 7, as published code does it; `factor` must divide the rows and columns."""
    if factor == 1 or kind == "mean":
        return down(images, factor)
    return bilinear_down(images, factor) if kind == "bilinear" else bicubic_down(images, factor)


def bilinear_down(images: Tensor, factor: int) -> Tensor:
    """Bilinear samples without antialiasing (mGANprior's super-resolution): only the middle of each cell counts."""
    return F.interpolate(images, scale_factor=1 / factor, mode="bilinear", align_corners=False)


def bicubic_down(images: Tensor, factor: int) -> Tensor:
    """PULSE's bicubic filter: a = -1/2, four cells wide, mirrored at the borders."""
    kernel = bicubic_kernel(factor).to(images)
    channels, margin = images.shape[1], (len(kernel) - factor) // 2
    columns = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    reduced = F.conv2d(F.pad(images, (0, 0, margin, margin), "reflect"), columns, stride=(factor, 1), groups=channels)
    rows = columns.transpose(2, 3)
    return F.conv2d(F.pad(reduced, (margin, margin, 0, 0), "reflect"), rows, stride=(1, factor), groups=channels)


@lru_cache
def bicubic_kernel(factor: int) -> Tensor:
    """The weights [4 factor] of one output pixel, float64, sum 1."""
    taps = 4 * factor
    x = ((torch.arange(taps, dtype=torch.float64) - taps // 2 + 0.5) / factor).abs()
    a = -0.5
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    weights = torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
    return weights / weights.sum()
