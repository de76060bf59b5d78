"""Is a picture as sharp as it should be? How far the strength of its bands falls short of a goal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.images import band, halvings

BANDS = 3
"""The picture's own rows, half and a quarter of them: with the generator's finest, that the loss cannot see, four or
five in all."""


def detail_shortfall(images: Tensor, goals: Mapping[int, float]) -> Tensor:
    """Mean over bands of the squared logarithm of goal over strength, where the strength is smaller; [B].

    More than the goal costs nothing: a busy picture stays busy.

    Args:
        images: [B, 3, S, S].
        goals: {rows: strength}, as of `mgi.metrics.bands`; bands without a goal do not count.
    """
    parts = []
    for larger, smaller in itertools.islice(halvings(images), BANDS):
        if goal := goals.get(larger.shape[-1]):
            strength = (band(larger, smaller).flatten(1).var(1) + 1e-10).sqrt()
            parts.append(F.relu(math.log(goal) - strength.log()).square())
    return torch.stack(parts).mean(0) if parts else images.new_zeros(len(images))
