"""One image as a distribution: the features at its locations.

A single image gives one Inception vector, and a Frechet distance needs a covariance. But a convolutional feature gives
one vector per location, hundreds of them: the metric `spatial-fd` compares those of a result with those of a whole
domain, `sifid` with those of one other image. For each hypothesis a small grid of projected features is stored, which
is enough for every rule.

Grids are [K, g, g] (numpy or torch, any float type): K principal components of the domain, g x g locations. Inception's
pool3 is one location, g = 1, and is kept in all its dimensions: FID is defined on those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import ConfigError
from mgi.features import Backbone
from mgi.metrics.gaussian import Gaussian, GaussianAccumulator

GRID = 16
"""Locations of one image: GRID x GRID, each the mean of the features in its cell."""


@dataclass(frozen=True)
class Basis:
    """matrix [K, C] @ (feature - origin [C]): principal components of a domain's locations, scaled to order one."""

    origin: np.ndarray
    matrix: np.ndarray

    def project(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, K, h, w]."""
        matrix = torch.as_tensor(self.matrix, dtype=features.dtype, device=features.device)
        origin = torch.as_tensor(self.origin, dtype=features.dtype, device=features.device)
        return F.conv2d(features - origin[:, None, None], matrix[:, :, None, None])


def grid_features(images: Tensor, backbone: Backbone, layer: str) -> Tensor:
    """Images [B, 3, H, W] in [-1, 1] -> means of a layer's features over a GRID x GRID raster, [B, C, GRID, GRID].

    A layer with one location (Inception's pool3) stays [B, C, 1, 1]: `paper` and `set-fid` apply to it, and the spatial
    distances are NaN.

    Raises:
        ConfigError: the layer has more than one but fewer than GRID rows or columns on these images.
    """
    with torch.no_grad():
        features = backbone(images, [layer])[layer]
    if max(features.shape[-2:]) == 1:
        return features
    if min(features.shape[-2:]) < GRID:
        found = "x".join(map(str, features.shape[-2:]))
        raise ConfigError(
            f"selection.layer {layer} of {backbone.name} has {found} locations on images of "
            f"{images.shape[-2]}x{images.shape[-1]} pixels, expected at least {GRID}x{GRID}; use a shallower layer"
        )
    return F.adaptive_avg_pool2d(features, GRID)


def lane_features(images: Tensor, backbone: Backbone, layer: str, basis: Basis) -> Tensor:
    """What is stored for a hypothesis: images [B, 3, H, W] in [-1, 1] -> [B, K, GRID, GRID], or [B, K, 1, 1]."""
    return basis.project(grid_features(images, backbone, layer))


def location_statistics(features: Tensor | np.ndarray) -> Gaussian:
    """Mean and covariance over the locations of one grid [K, g, g]; NaN if the grid is not finite."""
    grid = np.asarray(features.detach().cpu() if isinstance(features, Tensor) else features, dtype=np.float64)
    vectors = grid.reshape(grid.shape[0], -1).T
    if not np.isfinite(vectors).all():
        size = grid.shape[0]
        return Gaussian(np.full(size, np.nan), np.full((size, size), np.nan), len(vectors))
    accumulator = GaussianAccumulator(grid.shape[0])
    accumulator.update(vectors)
    return accumulator.result()


def pooled_vector(features: Tensor | np.ndarray) -> np.ndarray:
    """The image's mean feature: [K, g, g] -> [K]."""
    return location_statistics(features).mean
