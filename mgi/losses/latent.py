"""Losses on latents instead of images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 1e-9
_SMALLEST = 8
"""Rows of the coarsest scale at which noise is checked, as published."""


def geodesic_cross(points: Tensor) -> Tensor:
    """GEOCROSS of PULSE: D / 8 times the mean squared angle between all pairs of rows, [rows, D] -> scalar.

    0 if all rows are equal, as for a sample of the generator. The angle is 2 atan2(|x - y|, |x + y|), which is
    that between x and y where their lengths are equal; off the sphere it also sees lengths, as published.
    """
    difference = ((points[:, None] - points[None]).square().sum(-1) + _EPSILON).sqrt()
    total = ((points[:, None] + points[None]).square().sum(-1) + _EPSILON).sqrt()
    angles = 2 * torch.atan2(difference, total)
    return angles.square().mean() * points.shape[1] / 8


def noise_autocorrelation(maps: Iterable[Tensor]) -> Tensor:
    """L_reg of StyleGAN2's projector (appendix D) of one lane's noise maps [h, w] -> scalar.

    Sum over maps and over scales down to 8 x 8 of the squared mean product of neighbours, along rows and columns: 0 for
    white noise, large for anything that looks like a picture.
    """
    total = torch.zeros(())
    for noise in maps:
        scale = noise[None, None]
        total = total.to(noise)
        while True:
            for axis in (2, 3):
                total = total + (scale * scale.roll(1, axis)).mean().square()
            if scale.shape[-1] <= _SMALLEST:
                break
            scale = F.avg_pool2d(scale, 2)
    return total
