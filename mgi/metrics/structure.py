"""Does the result keep the source's structure? Features of both at the same place, by two networks.

EfficientNet-Lite0 takes part in no optimisation here: a gain that it does not see as well is a gain of the network that
was optimised, not of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgi.correspondence.matching import normalise
from mgi.metrics.base import Networks, PairMetric, Views

VGG16, VGG16_LAYER = "vgg16-imagenet", "relu4_3"
LITE0, LITE0_LAYER = "efficientnet-lite0", "stride16"


def difference(x: Tensor, y: Tensor) -> float:
    """1 - mean over positions of the cosine between features [1, C, h, w], centred (MGI equations 4-5)."""
    return float((1 - (normalise(x) * normalise(y)).sum(1).mean()).clamp(0, 2))  # rounding leaves the range by 5e-7


def _of(network: str, layer: str, views: Views, networks: Networks) -> float:
    assert views.source is not None
    backbone = networks(network)
    with torch.no_grad():
        features, of_source = (backbone(images, [layer])[layer] for images in (views.result, views.source))
    return difference(features, of_source)


STRUCTURE = PairMetric(
    name="structure",
    summary="1 - cosine between features of result and source at the same place (VGG-16 relu4_3)",
    needs=("source",),
    range=(0.0, 2.0),
    weights=(VGG16,),
    standard=True,
    measure=lambda views, networks: _of(VGG16, VGG16_LAYER, views, networks),
)

STRUCTURE_LITE0 = PairMetric(
    name="structure-lite0",
    summary="as structure, by EfficientNet-Lite0 at stride 16, which nothing here optimises",
    needs=("source",),
    range=(0.0, 2.0),
    weights=(LITE0,),
    standard=True,
    measure=lambda views, networks: _of(LITE0, LITE0_LAYER, views, networks),
)
