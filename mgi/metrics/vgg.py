"""How close the result is to the warp for VGG-16, independent of the scale of its layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.features import Backbone
from mgi.losses import perceptual_relative
from mgi.metrics.base import Networks, PairMetric, Views, fit

NETWORK, LAYERS, ROWS = "vgg16-imagenet", ("relu1_2", "relu2_2", "relu3_3"), 128
SMALLEST = 64
"""Images with fewer rows are enlarged; otherwise deeper layers would see next to nothing."""


@torch.no_grad()
def vgg_distance(image: Tensor, target: Tensor, network: Backbone) -> float:
    """Mean over layers of mean |phi(x) - phi(y)| / mean |phi(y)|, at most 128 rows: 1 is as far from y as zero is.

    Args:
        image, target: [1, 3, H, H] in [-1, 1].
        network: VGG-16.
    """
    features, of_target = (network(_seen(images), LAYERS) for images in (image, target))
    return float(perceptual_relative(features, of_target)[0])


def _seen(images: Tensor) -> Tensor:
    images = fit(images, min(images.shape[-1], ROWS))
    if images.shape[-1] >= SMALLEST:
        return images
    return F.interpolate(images, size=(SMALLEST, SMALLEST), mode="nearest")


def _measure(views: Views, networks: Networks) -> float:
    assert views.warp is not None
    return vgg_distance(views.result, views.warp, networks(NETWORK))


VGG = PairMetric(
    name="vgg",
    summary="relative distance of VGG-16 features from the warp (relu1_2, relu2_2, relu3_3)",
    needs=("warp",),
    rows=ROWS,
    weights=(NETWORK,),
    standard=True,
    measure=_measure,
)
