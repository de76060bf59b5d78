"""How close the result is to the warp, pixel by pixel."""

from __future__ import annotations

from torch import Tensor

from mgi.losses import l2
from mgi.metrics.base import Networks, PairMetric, Views


def squared_error(image: Tensor, target: Tensor) -> float:
    """mean (x - y)^2 of images [1, 3, H, W] in [-1, 1], a number from 0 to 4."""
    return float(l2(image, target)[0])


def _measure(views: Views, networks: Networks) -> float:
    assert views.warp is not None
    return squared_error(views.result, views.warp)


L2 = PairMetric(
    name="l2",
    summary="mean squared difference from the warp, pixels in [-1, 1]",
    needs=("warp",),
    range=(0.0, 4.0),
    reference="torchmetrics mean_squared_error",
    standard=True,
    measure=_measure,
)
