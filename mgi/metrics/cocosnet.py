"""Semantic consistency and style relevance, as CoCosNet measures translations (Zhang et al., CVPR 2020, section 4).

Semantic consistency is the cosine of deep VGG features at the same place (relu3_2, relu4_2, relu5_2), averaged. Style
relevance is the cosine of the channels' means and deviations: of relu1_2, which sees colour, and relu2_2, which sees
texture. Theirs is VGG-19; VGG-16 has layers of the same names and ships, so numbers are not those of their table.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.metrics.base import Networks, PairMetric, Views

NETWORK = "vgg16-imagenet"
DEEP = ("relu3_2", "relu4_2", "relu5_2")


def semantic_consistency(x: dict[str, Tensor], y: dict[str, Tensor]) -> float:
    """Mean over layers and positions of the cosine between features [1, C, h, w]."""
    return float(torch.stack([F.cosine_similarity(x[layer], y[layer]).mean() for layer in x]).mean())


def style_relevance(x: Tensor, y: Tensor) -> float:
    """Cosine between the means and deviations over positions of features [1, C, h, w]: one vector of 2 C each."""
    a, b = (torch.cat([part.mean((2, 3)), part.std((2, 3))], 1) for part in (x, y))
    return float(F.cosine_similarity(a, b)[0])


@torch.no_grad()
def _consistency(views: Views, networks: Networks) -> float:
    assert views.source is not None
    network = networks(NETWORK)
    return semantic_consistency(network(views.result, DEEP), network(views.source, DEEP))


@torch.no_grad()
def _relevance(layer: str, views: Views, networks: Networks) -> float:
    assert views.exemplar is not None
    network = networks(NETWORK)
    return style_relevance(network(views.result, [layer])[layer], network(views.exemplar, [layer])[layer])


SEMANTIC_CONSISTENCY = PairMetric(
    name="semantic-consistency",
    summary="cosine between deep features of result and source at the same place (VGG-16)",
    needs=("source",),
    higher_is_better=True,
    range=(0.0, 1.0),
    weights=(NETWORK,),
    tasks=("translate",),
    measure=_consistency,
)

COLOUR_RELEVANCE = PairMetric(
    name="colour-relevance",
    summary="cosine between means and deviations of relu1_2 of result and exemplar (VGG-16)",
    needs=("exemplar",),
    higher_is_better=True,
    range=(0.0, 1.0),
    weights=(NETWORK,),
    tasks=("translate",),
    measure=lambda views, networks: _relevance("relu1_2", views, networks),
)

TEXTURE_RELEVANCE = PairMetric(
    name="texture-relevance",
    summary="as colour-relevance, of relu2_2",
    needs=("exemplar",),
    higher_is_better=True,
    range=(0.0, 1.0),
    weights=(NETWORK,),
    tasks=("translate",),
    measure=lambda views, networks: _relevance("relu2_2", views, networks),
)
