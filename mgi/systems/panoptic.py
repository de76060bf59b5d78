"""Layers that heed which instance a place belongs to (Dundar et al., CVPR 2020), and the same as plain loops.

An identity is one number per place; places of one number are one instance, or one region of a class that has none.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 3
"""Rows of a window."""
NEIGHBOURS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))
"""(rows, columns) from a window's centre to its places, in the order of `F.unfold`."""
NOWHERE = -1
"""The identity of places beyond the border, which no place has."""


def smaller(identity: Tensor, size: int) -> Tensor:
    """Identities [B, H, H] at fewer rows: of each cell its upper left place, as nearest neighbours have it."""
    step = identity.shape[-1] // size
    return identity[:, ::step, ::step]


def same_instance(identity: Tensor) -> Tensor:
    """M of every window, float [B, 9, h w]: 1 where the identity is that of the window's centre, 0 elsewhere."""
    around = F.pad(identity.float()[:, None], (1, 1, 1, 1), value=NOWHERE)
    windows = F.unfold(around, SIDE)
    return (windows == identity.flatten(1)[:, None]).float()


class PanopticConv(nn.Conv2d):
    """Panoptic-aware partial convolution: W (X * M) * 9 / sum(M) + b, M being the window's own instance.

    Args:
        inputs, outputs: channels; windows of 3 x 3 places.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, SIDE, padding=1)

    def forward(self, x: Tensor, identity: Tensor) -> Tensor:  # type: ignore[override]  # it needs the identities, too
        """[B, I, h, w] and identities [B, h, w] -> [B, O, h, w]."""
        mask = same_instance(identity)
        windows = F.unfold(x, SIDE, padding=1).unflatten(1, (x.shape[1], SIDE**2)) * mask[:, None]
        summed = self.weight.flatten(1) @ windows.flatten(1, 2)
        found = summed * (SIDE**2 / mask.sum(1, keepdim=True))
        if self.bias is not None:
            found = found + self.bias[:, None]
        return found.unflatten(2, x.shape[2:])


def panoptic_conv_reference(x: Tensor, identity: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`PanopticConv`, place by place."""
    count, _, height, width = x.shape
    found = torch.zeros(count, len(weight), height, width)
    for number, row, column in itertools.product(range(count), range(height), range(width)):
        total, kept = torch.zeros(len(weight)), 0
        for down, right in NEIGHBOURS:
            there, beside = row + down, column + right
            inside = 0 <= there < height and 0 <= beside < width
            if inside and identity[number, there, beside] == identity[number, row, column]:
                total += weight[:, :, down + 1, right + 1] @ x[number, :, there, beside]
                kept += 1
        found[number, :, row, column] = total * (SIDE**2 / kept) + bias
    return found


def _order(odd: int, beside: int) -> list[tuple[int, int]]:
    """Where to look for a feature to replicate, nearest first: the cell that covers a place, then those around it.

    Args:
        odd, beside: 1 if the place is the lower, and the right one of the four in its cell.
    """
    centre = (0.25 * (2 * odd - 1), 0.25 * (2 * beside - 1))
    return sorted(NEIGHBOURS, key=lambda step: ((step[0] - centre[0]) ** 2 + (step[1] - centre[1]) ** 2, step))


class PanopticUpsample(nn.Module):
    """Twice as many rows: every place replicates the nearest cell of its own instance; holes are encoded anew.

    A hole is a place whose instance no cell around has: it has only appeared at this size. It gets features of the map
    of classes by a panoptic-aware convolution.

    Args:
        maps: channels of the map of classes.
        channels: of the features.
    """

    def __init__(self, maps: int, channels: int) -> None:
        super().__init__()
        self.appeared = PanopticConv(maps, channels)

    def forward(self, x: Tensor, coarse: Tensor, fine: Tensor, classes: Tensor) -> Tensor:
        """Features [B, C, h, w] -> [B, C, 2h, 2w].

        Args:
            x: the features.
            coarse, fine: identities [B, h, w] and [B, 2h, 2w].
            classes: the map of classes [B, M, 2h, 2w].
        """
        source, hole = sources(coarse, fine)
        found = x.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, x.shape[1], -1))
        encoded = self.appeared(classes, fine)
        return torch.where(hole[:, None], encoded, found.unflatten(2, hole.shape[1:]))


def sources(coarse: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
    """(number of the cell that each place replicates, long [B, 2h, 2w]; where there is none, bool [B, 2h, 2w])."""
    height, width = coarse.shape[1:]
    around = F.pad(coarse, (1, 1, 1, 1), value=NOWHERE)
    numbers = torch.arange(height * width, device=coarse.device).reshape(height, width)
    numbered = F.pad(numbers, (1, 1, 1, 1))
    source = torch.zeros_like(fine, dtype=torch.long)
    hole = torch.ones_like(fine, dtype=torch.bool)
    for odd, beside in itertools.product((0, 1), repeat=2):
        wanted = fine[:, odd::2, beside::2]
        chosen, missing = numbers.expand_as(wanted).clone(), torch.ones_like(wanted, dtype=torch.bool)
        for down, right in _order(odd, beside):
            rows, columns = slice(1 + down, 1 + down + height), slice(1 + right, 1 + right + width)
            fits = missing & (around[:, rows, columns] == wanted)
            chosen = torch.where(fits, numbered[rows, columns], chosen)
            missing = missing & ~fits
        source[:, odd::2, beside::2], hole[:, odd::2, beside::2] = chosen, missing
    return source, hole


def panoptic_upsample_reference(
    x: Tensor, coarse: Tensor, fine: Tensor, classes: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """`PanopticUpsample`, place by place; `weight` and `bias` are those of its convolution."""
    count, channels, height, width = x.shape
    encoded = panoptic_conv_reference(classes, fine, weight, bias)
    found = torch.zeros(count, channels, 2 * height, 2 * width)
    for number, row, column in itertools.product(range(count), range(2 * height), range(2 * width)):
        found[number, :, row, column] = encoded[number, :, row, column]
        nearest = float("inf")
        for there, beside in itertools.product(range(height), range(width)):
            if max(abs(there - row // 2), abs(beside - column // 2)) > 1:
                continue
            distance = (there + 0.5 - (row + 0.5) / 2) ** 2 + (beside + 0.5 - (column + 0.5) / 2) ** 2
            if coarse[number, there, beside] == fine[number, row, column] and distance < nearest:
                nearest = distance
                found[number, :, row, column] = x[number, :, there, beside]
    return found
