"""A picture as an exemplar of itself (CoCosNet, section 3.3): mirrored, moved and warped as its condition is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.systems.drawing import JITTER

KNOTS = 4
"""Rows and columns of random displacements, between which they are smooth."""


def distorted(
    picture: Tensor, condition: Tensor, strength: float, labels: bool, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Both moved alike.

    Args:
        picture: [B, 3, S, S].
        condition: [B, M, S, S].
        strength: largest displacement of the warp, as a share of the side; 0: only mirrored, enlarged and moved.
        labels: the condition has classes, which are not mixed.
        random: draws, on the CPU.
    """
    count = len(picture)
    mirror = torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    share = 1 / (1 + (JITTER - 1) * torch.rand(count, generator=random))
    shift = (2 * torch.rand(count, 2, generator=random) - 1) * (1 - share)[:, None]
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1], affine[:, :, 2] = mirror * share, share, shift
    grid = F.affine_grid(affine, [count, 3, *picture.shape[2:]], align_corners=False)
    knots = 2 * strength * (2 * torch.rand(count, 2, KNOTS, KNOTS, generator=random) - 1)  # a side is 2 units long
    bent = F.interpolate(knots, size=picture.shape[2:], mode="bicubic", align_corners=True)
    grid = (grid + bent.permute(0, 2, 3, 1)).to(picture)

    def moved(x: Tensor, mode: str) -> Tensor:
        return F.grid_sample(x, grid, mode=mode, padding_mode="reflection", align_corners=False)

    return moved(picture, "bilinear"), moved(condition, "nearest" if labels else "bilinear")
