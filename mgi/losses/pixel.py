"""Distances between images, one value per lane: means over everything but the batch, so that no lane weighs another."""

from __future__ import annotations

from torch import Tensor


def l1(x: Tensor, y: Tensor) -> Tensor:
    """D = mean |x - y| (MGI equation 7, OEFT equation 12, first choice of D): [B, ...] twice -> [B]."""
    return (x - y).abs().flatten(1).mean(1)


def l2(x: Tensor, y: Tensor) -> Tensor:
    """D = mean (x - y)^2 (MGI equation 7, OEFT equation 12, second choice of D): [B, ...] twice -> [B]."""
    return (x - y).square().flatten(1).mean(1)
