"""Peak signal-to-noise ratio of an inversion to its picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mgi.losses import l2
from mgi.metrics.base import Networks, PairMetric, Views


def psnr_db(image: Tensor, target: Tensor) -> float:
    """10 log10(4 / mean (x - y)^2) in dB of images [1, 3, H, W] in [-1, 1]; what exceeds the range is clipped."""
    # Not torchmetrics' own: degraded pictures are measured while they are inverted, and importing it takes seconds.
    return float(10 * torch.log10(4 / l2(image.clamp(-1, 1), target)[0]))


def _measure(views: Views, networks: Networks) -> float:
    assert views.source is not None
    return psnr_db(views.result, views.source)


PSNR = PairMetric(
    name="psnr",
    summary="peak signal-to-noise ratio to the source",
    needs=("source",),
    higher_is_better=True,
    unit="dB",
    range=(0.0, math.inf),
    reference="torchmetrics",
    tasks=("invert",),
    standard=True,
    measure=_measure,
)
