"""Targets as strong in detail as the domain: a warp is softer than what it is made of, and what follows it is, too.

Patches of a warp are averaged where they overlap, so it has a half to three quarters of the detail of the generator's
samples. A result that comes near it is as soft. Here every band of a target is made stronger by one factor; places keep
their colours, and edges stay where they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.images import band, halvings
from mgi.losses.detail import BANDS

MOST = 1.6
"""No band becomes stronger than this many times: beyond, seams of the warp would show as lines."""


@torch.no_grad()
def raised(image: Tensor, goals: Mapping[int, float]) -> Tensor:
    """The image with bands that are weaker than their goal made stronger; the others stay as they are.

    Args:
        image: [1, 3, S, S].
        goals: {rows: strength} as `mgi.metrics.bands` measures it; bands without a goal stay as they are.
    """
    found, smallest = [], image
    for larger, smallest in itertools.islice(halvings(image), BANDS):
        goal, strength = goals.get(larger.shape[-1], 0.0), float(band(larger, smallest).std())
        factor = min(max(goal / strength, 1.0), MOST) if strength else 1.0
        found.append(factor * (larger - _larger(smallest)))
    for one in reversed(found):
        smallest = _larger(smallest) + one
    return smallest


def _larger(image: Tensor) -> Tensor:
    """Twice as many rows without edges between cells, which a band of another factor would leave."""
    return F.interpolate(image, scale_factor=2, mode="bilinear")
