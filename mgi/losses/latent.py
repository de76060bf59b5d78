"""Losses on latents instead of images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 1e-9


def geodesic_cross(points: Tensor) -> Tensor:
    """GEOCROSS of PULSE: D / 8 times the mean squared angle between all pairs of rows, [rows, D] -> scalar.

    0 where all rows are the same direction, as for an image of the generator's own.
    """
    unit = F.normalize(points, dim=1)
    difference = ((unit[:, None] - unit[None]).square().sum(-1) + _EPSILON).sqrt()
    total = ((unit[:, None] + unit[None]).square().sum(-1) + _EPSILON).sqrt()
    angles = 2 * torch.atan2(difference, total)
    return angles.square().mean() * points.shape[1] / 8
