"""How different the results of one source are: the mean distance between them (StarGAN v2, section 4).

Published numbers are LPIPS between the results of one source in ten styles each. Where its network is missing, features
of VGG-16 without LPIPS's weights stand in, under a name of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from mgi.features import Backbone
from mgi.features.lpips import LPIPS
from mgi.losses.perceptual import perceptual_unit
from mgi.metrics.base import fit
from mgi.metrics.lpips import lpips_distance

ROWS = 256
LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
Distance = Callable[[Tensor, Tensor], float]


def diversity(groups: Iterable[Sequence[Tensor]], distance: Distance) -> tuple[float, int]:
    """(mean over groups of the mean distance between all pairs of a group, groups with at least two).

    Args:
        groups: images [1, 3, H, H] in [-1, 1] of one source each.

    Raises:
        ValueError: no group has two images.
    """
    means = []
    for images in groups:
        pairs = list(itertools.combinations([fit(image, ROWS) for image in images], 2))
        if pairs:
            means.append(np.mean([distance(x, y) for x, y in pairs]))
    if not means:
        raise ValueError("expected sources with at least two results each, found none; use --pairing product")
    return float(np.mean(means)), len(means)


def distance_of(network: Backbone | LPIPS) -> Distance:
    """LPIPS by its own network; by another, the distance between features of unit length."""
    if isinstance(network, LPIPS):
        return lambda x, y: lpips_distance(x, y, network)

    @torch.no_grad()
    def of_features(x: Tensor, y: Tensor) -> float:
        return float(perceptual_unit(network(x, LAYERS), network(y, LAYERS))[0])

    return of_features
