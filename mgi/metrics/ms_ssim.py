"""Structural similarity over five scales (Wang et al., 2003)."""

from __future__ import annotations

from torch import Tensor

from mgi.metrics.base import Networks, PairMetric, Views


def multiscale_similarity(image: Tensor, target: Tensor) -> float:
    """MS-SSIM of images [1, 3, H, W] in [-1, 1], at least 176 rows; Gaussian window of 11 pixels, deviation 1.5."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

    return float(measure((image.clamp(-1, 1) + 1) / 2, (target + 1) / 2, data_range=1.0))


def _measure(views: Views, networks: Networks) -> float:
    assert views.source is not None
    return multiscale_similarity(views.result, views.source)


MS_SSIM = PairMetric(
    name="ms-ssim",
    summary="structural similarity to the source over five scales",
    needs=("source",),
    higher_is_better=True,
    range=(0.0, 1.0),
    reference="torchmetrics",
    tasks=("invert",),
    measure=_measure,
)
