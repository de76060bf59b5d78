"""Identity similarity: is the result the source's person, as a face network sees it (pSp, e4e, UDA-inversion)?"""

from __future__ import annotations

import torch

from mgi.features.ir_se50 import LAYER, NAME
from mgi.metrics.base import Networks, PairMetric, Views


@torch.no_grad()
def _measure(views: Views, networks: Networks) -> float:
    assert views.source is not None
    network = networks(NAME)
    result, source = (network(images, [LAYER])[LAYER].flatten(1) for images in (views.result, views.source))
    return float((result * source).sum())


IDENTITY = PairMetric(
    name="identity",
    summary="cosine of ArcFace's vectors of result and source (aligned faces)",
    needs=("source",),
    higher_is_better=True,
    range=(-1.0, 1.0),
    weights=(NAME,),
    reference="eladrich/pixel2style2pixel",
    measure=_measure,
)
