"""Distances between images, one value per lane: means over everything but the batch, so lanes stay apart."""

from __future__ import annotations

from torch import Tensor


def l1(x: Tensor, y: Tensor) -> Tensor:
    """D = mean |x - y| (MGI equation 7, OEFT equation 12, first choice of D): [B, ...] twice -> [B]."""
    return _per_lane_mean((x - y).abs())


def l2(x: Tensor, y: Tensor) -> Tensor:
    """D = mean (x - y)^2 (MGI equation 7, OEFT equation 12, second choice of D): [B, ...] twice -> [B]."""
    return _per_lane_mean((x - y).square())


def _per_lane_mean(values: Tensor) -> Tensor:
    # Not flatten(1).mean(1): that would copy features in channels-last memory.
    return values.mean(dim=tuple(range(1, values.ndim)))
