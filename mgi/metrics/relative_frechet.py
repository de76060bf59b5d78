"""How good a generator is: the Frechet distance of its samples from held-out images, in units of their own variance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from mgi.features import Backbone
from mgi.metrics.base import Networks, SetMetric, SetViews, fit
from mgi.metrics.frechet import frechet_distance
from mgi.metrics.gaussian import Gaussian, GaussianAccumulator

NETWORK, LAYER = "vgg16-imagenet", "relu4_3"
"""The feature network that comes from the package index; its layer's mean over positions has 512 dimensions."""


@torch.no_grad()
def statistics(batches: Iterable[Tensor], backbone: Backbone, layer: str = LAYER) -> Gaussian:
    """Mean and covariance of the layer's mean over positions, of images [B, 3, R, R] in [-1, 1]."""
    seen = GaussianAccumulator(backbone.channels(layer))
    for images in batches:
        seen.update(backbone(images, [layer])[layer].mean(dim=(2, 3)))
    return seen.result()


def relative_frechet(images: Gaussian, held_out: Gaussian) -> float:
    """The Frechet distance in units of the held-out images' total variance, so that its scale is nobody's pixel scale.

    0 is perfect; 1 is a generator that always makes the mean of the real features.

    Raises:
        ValueError: the held-out images do not differ.
    """
    variance = float(np.trace(held_out.covariance))
    if not variance:
        raise ValueError(f"expected held-out images that differ, found {held_out.n} with no variance; use more")
    return frechet_distance(images, held_out) / variance


def _measure(views: SetViews, networks: Networks) -> float:
    assert views.reference is not None
    network, rows = networks(NETWORK), RELATIVE_FRECHET.rows
    results, reference = (
        statistics((fit(image, rows) for image in images), network) for images in (views.results, views.reference)
    )
    return relative_frechet(results, reference)


RELATIVE_FRECHET = SetMetric(
    name="relative-frechet",
    summary="Frechet distance of VGG-16 features (relu4_3) from a reference set, in units of its variance",
    needs=("reference",),
    weights=(NETWORK,),
    reference="docs/training.md",
    measure=_measure,
)
