"""How far one result is from a domain, by its locations: what the default selection rule compares."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mgi.metrics.base import Networks, PairMetric, Views
from mgi.metrics.frechet import between_locations
from mgi.metrics.gaussian import Gaussian
from mgi.metrics.locations import lane_features, location_statistics


def spatial_fd(features: Tensor | np.ndarray, domain_locations: Gaussian) -> float:
    """k_n of MGI section 3.2: Frechet distance of one image's locations [K, g, g] from a domain's.

    NaN if features are not finite or all locations are equal: then there is no distribution to compare.
    """
    return between_locations(location_statistics(features), domain_locations)


def _measure(views: Views, networks: Networks) -> float:
    domain = views.domain
    assert domain is not None
    features = lane_features(views.result, networks(domain.network), domain.layer, domain.basis)
    return spatial_fd(features[0], domain.locations)


SPATIAL_FD = PairMetric(
    name="spatial-fd",
    summary="Frechet distance between the locations of the result and those of the domain",
    needs=("domain",),
    reference="docs/selection.md",
    measure=_measure,
)
