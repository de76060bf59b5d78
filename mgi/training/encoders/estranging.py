"""Pictures of a generator made strange to it, and distortion maps out of line: what a fusion learns from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, perspective

BENDS, BENT = 5, 0.06
"""Rows of the random displacement field, and its spread as a share of half the picture."""
GAIN, OFFSET, GAMMA = 0.25, 0.15, 0.35
"""Spreads of each colour's contrast, brightness and logarithmic gamma."""


def estranged(pictures: Tensor, share: float, seed: int) -> Tensor:
    """Some of [B, 3, s, s] in [-1, 1] bent smoothly and recoloured: no latents of the generator say them exactly."""
    random = torch.Generator().manual_seed(seed)
    count = len(pictures)
    chosen = (torch.rand(count, generator=random) < share).to(pictures.device)
    field = BENT * torch.randn(count, 2, BENDS, BENDS, generator=random)
    gain = 1 + GAIN * torch.randn(count, 3, 1, 1, generator=random).clamp(-2, 2)
    offset = OFFSET * torch.randn(count, 3, 1, 1, generator=random)
    gamma = torch.exp(GAMMA * torch.randn(count, 3, 1, 1, generator=random).clamp(-2, 2))
    field, gain, offset, gamma = (x.to(pictures.device) for x in (field, gain, offset, gamma))
    rows = pictures.shape[-1]
    moved = F.interpolate(field, size=(rows, rows), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    still = F.affine_grid(
        torch.eye(2, 3, device=pictures.device).expand(count, 2, 3), list(pictures.shape), align_corners=False
    )
    bent = F.grid_sample(pictures, still + moved, mode="bilinear", padding_mode="reflection", align_corners=False)
    light = ((bent.clamp(-1, 1) + 1) / 2).clamp_min(1e-4) ** gamma
    coloured = (gain * (2 * light - 1) + offset).clamp(-1, 1)
    return torch.where(chosen[:, None, None, None], coloured, pictures)


def displaced(lost: Tensor, distortion: float, share: float, seed: int) -> Tensor:
    """Distortion maps [B, 3, s, s] with their corners moved, all of a step alike, as HFGI's public code does.

    Args:
        lost: what an inversion lost.
        distortion: how far corners move at most, as a share of half of the map.
        share: of the seeds for which they move at all.
        seed: of the step.
    """
    random = torch.Generator().manual_seed(seed)
    if float(torch.rand(1, generator=random)) >= share:
        return lost
    rows = lost.shape[-1]
    most = int(distortion * (rows // 2)) + 1
    inwards = torch.randint(0, most, (4, 2), generator=random).tolist()
    last = rows - 1
    corners = [[0, 0], [last, 0], [last, last], [0, last]]
    moved = [[abs(x - dx), abs(y - dy)] for (x, y), (dx, dy) in zip(corners, inwards, strict=True)]
    return perspective(lost, corners, moved, InterpolationMode.BILINEAR, fill=[0.0])
