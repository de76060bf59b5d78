"""Frechet distances on networks that are here where Inception is absent, each under its own name.

The vectors are means over positions, at 256 x 256, or over cells of them where channels are centred. Their numbers are
no FID: only rows of one name can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor

from mgi.metrics.base import Networks, fit
from mgi.metrics.reduced import Arrays, ReducedMetric, Reduction, vectors
from mgi.metrics.sets.of_vectors import frechet_of, kernel_of

ROWS = 256


def _means(name: str, network: str, layer: str, cells: int = 1, below: tuple[str, ...] = ()) -> Reduction:
    def run(images: Iterable[Tensor], networks: Networks) -> Arrays:
        backbone = networks(network)
        small = (fit(image, ROWS) for image in images)
        return vectors(small, lambda batch: F.adaptive_avg_pool2d(backbone(batch, [layer])[layer], cells).flatten(1))

    return Reduction(name, run, (network, *below), f"cells or bilinear to {ROWS}")


VGG16 = _means("vgg16-relu4_3", "vgg16-imagenet", "relu4_3")
LITE0 = _means("lite0-stride32", "efficientnet-lite0", "stride32")
DESCRIPTOR = _means("descriptor-cells4", "descriptor-mobile-stylegan-ffhq", "generator", 4, ("vgg16-imagenet",))

FRECHET_VGG16 = ReducedMetric(
    name="frechet-vgg16",
    summary="Frechet distance of VGG-16 features (relu4_3, 512 numbers) from a reference set",
    needs=("reference",),
    weights=VGG16.weights,
    reference="pytorch-fid (the formula)",
    reduction=VGG16,
    compare=frechet_of,
)

FRECHET_LITE0 = ReducedMetric(
    name="frechet-lite0",
    summary="Frechet distance of EfficientNet-Lite0 features (320 numbers) from a reference set",
    needs=("reference",),
    weights=LITE0.weights,
    reference="pytorch-fid (the formula)",
    reduction=LITE0,
    compare=frechet_of,
)

KERNEL_LITE0 = ReducedMetric(
    name="kernel-lite0",
    summary="kernel distance of EfficientNet-Lite0 features (320 numbers) from a reference set",
    needs=("reference",),
    range=(float("-inf"), float("inf")),
    weights=LITE0.weights,
    reference="torchmetrics (the formula)",
    reduction=LITE0,
    compare=kernel_of,
)

FRECHET_DESCRIPTOR = ReducedMetric(
    name="frechet-descriptor",
    summary="Frechet distance of a descriptor's features in 4 x 4 cells (2,048 numbers) from a reference set",
    needs=("reference",),
    weights=DESCRIPTOR.weights,
    reference="pytorch-fid (the formula)",
    reduction=DESCRIPTOR,
    compare=frechet_of,
)
