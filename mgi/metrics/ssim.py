"""Structural similarity of an inversion to its picture (Wang et al., 2004)."""

from __future__ import annotations

from torch import Tensor

from mgi.metrics.base import Networks, PairMetric, Views


def structural_similarity(image: Tensor, target: Tensor) -> float:
    """SSIM of images [1, 3, H, W] in [-1, 1]: Gaussian window of 11 pixels and deviation 1.5, channel by channel.

    Measured on pixels in [0, 1]: its luminance term compares means of intensities, which are not negative.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = structural_similarity_index_measure((image.clamp(-1, 1) + 1) / 2, (target + 1) / 2, data_range=1.0)
    assert isinstance(found, Tensor)
    return float(found)


def _measure(views: Views, networks: Networks) -> float:
    assert views.source is not None
    return structural_similarity(views.result, views.source)


SSIM = PairMetric(
    name="ssim",
    summary="structural similarity to the source",
    needs=("source",),
    higher_is_better=True,
    range=(-1.0, 1.0),
    reference="torchmetrics",
    tasks=("invert",),
    standard=True,
    measure=_measure,
)
