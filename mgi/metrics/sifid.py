"""How far the locations of two images are from each other (single-image FID; Shaham et al., ICCV 2019)."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mgi.metrics.base import Networks, PairMetric, Views
from mgi.metrics.frechet import between_locations
from mgi.metrics.locations import lane_features, location_statistics


def sifid(features_a: Tensor | np.ndarray, features_b: Tensor | np.ndarray) -> float:
    """k_n of MGI section 3.2: Frechet distance between two images' locations [K, g, g]; NaN as in `spatial_fd`."""
    return between_locations(location_statistics(features_a), location_statistics(features_b))


def _measure(views: Views, networks: Networks) -> float:
    domain = views.domain
    assert domain is not None and views.warp is not None
    result, warp = (
        lane_features(images, networks(domain.network), domain.layer, domain.basis)[0]
        for images in (views.result, views.warp)
    )
    return sifid(result, warp)


SIFID = PairMetric(
    name="sifid",
    summary="Frechet distance between the locations of the result and those of the warp",
    needs=("warp", "domain"),
    reference="docs/selection.md",
    measure=_measure,
)
