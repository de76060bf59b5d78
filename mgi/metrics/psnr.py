"""Peak signal-to-noise ratio of an inversion to its picture."""

from __future__ import annotations

import math

from torch import Tensor

from mgi.metrics.base import Networks, PairMetric, Views


def psnr_db(image: Tensor, target: Tensor) -> float:
    """10 log10(4 / mean (x - y)^2) in dB of images [1, 3, H, W] in [-1, 1]; what exceeds the range is clipped."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(image.clamp(-1, 1), target, data_range=2.0))


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
