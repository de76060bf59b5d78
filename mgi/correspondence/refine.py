"""Coarse to fine: few cells first, which say where finer ones may look; then every match moved a little at more rows.

Shapes: B pairs, N_S = H_S W_S positions of the source, N_T of the exemplar; R x R finer positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.correspondence.dense import match
from mgi.correspondence.matching import normalise
from mgi.images import resize

REACH = 1
"""Coarse cells around a coarse match within which finer candidates count."""
SEARCH = 2
"""Fine cells around a match within which it may move."""


def allowed_by_coarse(source_unit: Tensor, target_unit: Tensor, rows: int, temperature: float) -> Tensor:
    """Which candidates are near the match of their coarse cell: [B, N_S, N_T].

    Args:
        source_unit: [B, C, H_S, W_S], H_S a multiple of `rows`.
        target_unit: [B, C, H_T, W_T], likewise.
        rows: coarse rows and columns.
        temperature: alpha, of the dual softmax whose largest entry is the match of a coarse cell.
    """
    source, target = (normalise(resize(unit, rows, "area")) for unit in (source_unit, target_unit))
    best = match(source, target, temperature).weights.argmax(2)  # [B, rows^2]
    there = torch.stack([best // rows, best % rows], dim=1).unflatten(2, (rows, rows)).float()
    there = F.interpolate(there, size=source_unit.shape[-2:], mode="nearest").flatten(2)  # [B, 2, N_S]
    height, width = target_unit.shape[-2:]
    lines = [torch.arange(n, device=best.device) * rows // n for n in (height, width)]
    grid = torch.stack([part.flatten() for part in torch.meshgrid(*lines, indexing="ij")])  # [2, N_T]
    return ((there[:, :, :, None] - grid[None, :, None]).abs() <= REACH).all(1)


def refined_places(source_fine: Tensor, target_fine: Tensor, places: Tensor, temperature: float) -> Tensor:
    """Places of matches, moved to where finer features agree best.

    Every one of the R x R positions takes over the shift of its coarse cell and tries those around it. As M is averaged
    over a patch, what a shift is worth is averaged over 3 x 3 neighbours with the same shift; places come out as the
    mean of the shifts under a softmax, so they lie between cells.

    Args:
        source_fine: [B, C, R, R], centred, unit length.
        target_fine: likewise.
        places: row and column of each match in cells, [B, 2, G, G], R a multiple of G.
        temperature: alpha.

    Returns:
        [B, 2, R, R] in fine cells.
    """
    rows, cells = source_fine.shape[-1], places.shape[-1]
    base = (F.interpolate(places - _grid(cells, places), scale_factor=rows / cells) * (rows / cells)).round()
    base = base + _grid(rows, places)
    steps = range(-SEARCH, SEARCH + 1)
    shifts = torch.tensor([(y, x) for y in steps for x in steps], dtype=base.dtype, device=base.device)
    worth = torch.stack(
        [_agreement(source_fine, target_fine, base + shift[None, :, None, None]) for shift in shifts], 1
    )
    worth = F.avg_pool2d(F.pad(worth, [1] * 4, mode="replicate"), 3, 1)
    weights = (temperature * worth).softmax(1)
    moved = base + torch.einsum("bkhw,kc->bchw", weights, shifts)
    return moved.clamp(0, rows - 1)


def _agreement(source: Tensor, target: Tensor, places: Tensor) -> Tensor:
    """M between every position and its place: [B, R, R]."""
    rows = source.shape[-1]
    index = (places.clamp(0, rows - 1).long() * torch.tensor([rows, 1], device=places.device)[None, :, None, None]).sum(
        1
    )
    found = target.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, target.shape[1], -1))
    return (source.flatten(2) * found).sum(1).unflatten(1, (rows, rows))


def _grid(rows: int, like: Tensor) -> Tensor:
    line = torch.arange(rows, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(line, line, indexing="ij"))[None]
