"""Which cells of an exemplar each cell of a condition takes, and how much of each (CoCosNet, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.01
"""Of the softmax over similarities, as published."""


class Matching(Protocol):
    """A weighted correspondence of cells."""

    def carry(self, values: Tensor) -> Tensor:
        """Values of the exemplar's cells [B, N', C] at the cells of the condition [B, N, C]."""
        ...

    def back(self, values: Tensor) -> Tensor:
        """Values of the condition's cells [B, N, C] at the cells of the exemplar [B, N', C]."""
        ...


Matcher = Callable[[Tensor, Tensor, tuple[int, int]], Matching]
"""Unit vectors of the condition's and of the exemplar's cells [B, D, N], and (rows, columns) of both -> a matching."""


class FullMatching:
    """Every cell takes of all cells, by a softmax of similarities."""

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        self._scores = rows.transpose(1, 2) @ columns / TEMPERATURE

    def carry(self, values: Tensor) -> Tensor:
        """[B, N', C] -> [B, N, C]."""
        return torch.softmax(self._scores, dim=-1) @ values

    def back(self, values: Tensor) -> Tensor:
        """[B, N, C] -> [B, N', C], by a softmax over the condition's cells."""
        return torch.softmax(self._scores.transpose(1, 2), dim=-1) @ values


def full(rows: Tensor, columns: Tensor, grid: tuple[int, int]) -> Matching:
    """A `Matcher`: all pairs of cells."""
    return FullMatching(rows, columns)


def cells(picture: Tensor, down: int) -> Tensor:
    """Means of cells of `down` x `down` pixels: [B, C, S, S] -> [B, N, C]."""
    return F.avg_pool2d(picture, down).flatten(2).transpose(1, 2)
