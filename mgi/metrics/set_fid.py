"""How far all results of a method together are from a domain."""

from __future__ import annotations

import numpy as np

from mgi.metrics.base import Networks, SetMetric, SetViews, fit
from mgi.metrics.frechet import frechet_distance
from mgi.metrics.gaussian import Gaussian, GaussianAccumulator
from mgi.metrics.locations import lane_features, pooled_vector


def set_fid(pooled: np.ndarray, domain_images: Gaussian) -> float:
    """k_n of MGI section 3.2, of all pairs: Frechet distance of results, a vector each, [P, K], from a domain's.

    Vectors that are not finite (failed lanes) are left out; NaN if none is left.
    """
    vectors = np.asarray(pooled, float)
    vectors = vectors[np.isfinite(vectors).all(axis=1)]
    if not len(vectors):
        return float("nan")
    accumulator = GaussianAccumulator(vectors.shape[1])
    accumulator.update(vectors)
    return frechet_distance(accumulator.result(), domain_images)


def _measure(views: SetViews, networks: Networks) -> float:
    domain = views.domain
    assert domain is not None
    network = networks(domain.network)
    pooled = [
        pooled_vector(lane_features(fit(image, SET_FID.rows), network, domain.layer, domain.basis)[0])
        for image in views.results
    ]
    return set_fid(np.stack(pooled), domain.images) if pooled else float("nan")


SET_FID = SetMetric(
    name="set-fid",
    summary="Frechet distance between all results and the domain's images, by their mean features",
    needs=("domain",),
    reference="docs/selection.md",
    measure=_measure,
)
