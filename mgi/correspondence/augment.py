"""Online augmentation of one pair (OEFT section 3.2, figure 6): the source's colours, the exemplar's geometry.

The source's colours may change because only its structure is used. Positions in the exemplar may change because only
its style is used. Every pair has its own random generator, on the CPU: the same numbers on every device and in
every batch. The paper names the kinds of change but not how strong they are; the strengths below are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.3, 0.5
"""Reach of the colour jitter: an offset in [-1, 1] units, and two factors around 1."""
NOISE = 0.1
"""Largest standard deviation of the noise, in [-1, 1] units."""
SCALE, ROTATION, SHEAR, SHIFT = 0.25, 15.0, 0.15, 0.1
"""Reach of the affine transformation: a factor around 1, degrees, a slope, and a share of the side."""


def photometric(images: Tensor, randoms: Sequence[torch.Generator]) -> Tensor:
    """x_S^aug (OEFT section 3.2): brightness, contrast, saturation and Gaussian noise.

    Images [B, 3, S, S] in [-1, 1] -> likewise, clipped.
    """
    offset, contrast, saturation, strength = _uniform(images, randoms, 4).unsqueeze(-1).unsqueeze(-1).split(1, dim=1)
    noise = torch.stack([torch.randn(images.shape[1:], generator=random) for random in randoms]).to(images)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (1 + SATURATION * saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean + (images - mean) * (1 + CONTRAST * contrast) + BRIGHTNESS * offset
    return (images + NOISE * (strength + 1) / 2 * noise).clamp(-1, 1)


def geometric(images: Tensor, randoms: Sequence[torch.Generator]) -> Tensor:
    """x_T^aug (OEFT section 3.2): scale, rotation, shear and shift, mirrored at the borders: [B, 3, S, S]."""
    return moved(images, affine_matrices(_uniform(images, randoms, 5)))


def moved(images: Tensor, matrices: Tensor) -> Tensor:
    """Images [B, C, S, S] sampled where matrices [B, 2, 3] say, mirrored at the borders."""
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def affine_matrices(draws: Tensor) -> Tensor:
    """Numbers in [-1, 1], [B, 5] (scale, rotation, shear, shift in x and y), as matrices [B, 2, 3]; zeros: identity."""
    scale = 1 + SCALE * draws[:, 0]
    angle = math.radians(ROTATION) * draws[:, 1]
    cosine, sine, slope = scale * angle.cos(), scale * angle.sin(), SHEAR * draws[:, 2]
    shift_x, shift_y = (2 * SHIFT * draws[:, 3:5]).unbind(1)  # of a side that runs from -1 to 1
    rows = [cosine, slope * cosine - sine, shift_x, sine, slope * sine + cosine, shift_y]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def _uniform(images: Tensor, randoms: Sequence[torch.Generator], count: int) -> Tensor:
    """[B, count] in [-1, 1], each pair's from its own generator."""
    return torch.stack([2 * torch.rand(count, generator=random) - 1 for random in randoms]).to(images)
