"""Nearest-neighbour upsampling by 2 and the 3 x 3 convolution after it, as one transposed convolution.

Each output pixel of the pair sees only 2 x 2 different input pixels, so 4 of the 9 products are enough: the kernel's
columns and rows that meet the same input pixel are added up first (PGGAN's "fused scale"). From 8 x 8 pixels on this is
up to twice as fast as upsampling first (docs/benchmarks.md); below that it is slower, and the plain operations are
used.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

FROM_ROWS = 8
"""Inputs with at least this many rows are computed as one convolution."""


def upsampled_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [B, I, h, w], weight [O, I, 3, 3], bias [O] -> [B, O, 2 h, 2 w]; by whichever is faster."""
    if x.shape[-2] < FROM_ROWS:
        return plain_upsampled_convolution(x, weight, bias)
    return F.conv_transpose2d(x, fused_kernel(weight), bias, stride=2, padding=1)


def plain_upsampled_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The plain twin of `upsampled_convolution`: equal up to rounding."""
    return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1)


def fused_kernel(weight: Tensor) -> Tensor:
    """[O, I, 3, 3] -> [I, O, 4, 4], for `conv_transpose2d` with stride 2 and padding 1."""
    padded = F.pad(weight.flip(2, 3), (1, 1, 1, 1))
    rows = padded[:, :, 1:] + padded[:, :, :-1]
    return (rows[..., 1:] + rows[..., :-1]).transpose(0, 1)
