"""The papers' "FID of one image"."""

from __future__ import annotations

import numpy as np

from mgi.metrics.base import Networks, PairMetric, Views
from mgi.metrics.gaussian import Gaussian
from mgi.metrics.locations import lane_features, pooled_vector


def paper_fd(pooled: np.ndarray, domain_images: Gaussian) -> float:
    """[K] against the pooled vectors of a domain: |x - mu|^2 + tr(Sigma) (MGI section 3.2, k_n).

    One vector has no covariance, so this is only the distance from the mean image. That is why it is not the default
    rule. On Inception's pool3 in all its 2048 dimensions it is FID's own scale; in principal components of another
    layer it is in the domain's units (`DomainStatistics`). NaN if the vector is not finite.
    """
    offset = np.asarray(pooled, float) - domain_images.mean
    return float(offset @ offset + np.trace(domain_images.covariance))


def _measure(views: Views, networks: Networks) -> float:
    domain = views.domain
    assert domain is not None
    features = lane_features(views.result, networks(domain.network), domain.layer, domain.basis)
    return paper_fd(pooled_vector(features[0]), domain.images)


PAPER = PairMetric(
    name="paper",
    summary="the papers' FID of one image: distance of its mean feature from the domain's",
    needs=("domain",),
    reference="pytorch-fid (the formula, for one vector)",
    measure=_measure,
)
