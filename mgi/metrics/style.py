"""Does the result have the exemplar's style? Gram matrices of both (OEFT equation 9, free of the scale of layers)."""

from __future__ import annotations

import torch
from torch import Tensor

from mgi.features import Backbone
from mgi.losses import gram_relative
from mgi.metrics.base import Networks, PairMetric, Views

NETWORK, LAYERS = "vgg16-imagenet", ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


@torch.no_grad()
def style_distance(image: Tensor, exemplar: Tensor, network: Backbone) -> float:
    """`losses.gram_relative` over relu1_2 to relu4_3 of images [1, 3, H, W] in [-1, 1]; 0 for the same style."""
    features, of_exemplar = (network(images, LAYERS) for images in (image, exemplar))
    return float(gram_relative(features, of_exemplar)[0])


def _measure(views: Views, networks: Networks) -> float:
    assert views.exemplar is not None
    return style_distance(views.result, views.exemplar, networks(NETWORK))


STYLE = PairMetric(
    name="style",
    summary="relative distance between Gram matrices of result and exemplar (VGG-16, four layers)",
    needs=("exemplar",),
    weights=(NETWORK,),
    tasks=("translate",),
    standard=True,
    measure=_measure,
)
