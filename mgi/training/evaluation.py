"""How good a generator is: the Frechet distance of its samples from held-out images."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from mgi.features import Backbone
from mgi.images import to_float, to_uint8
from mgi.scoring.frechet import frechet_distance
from mgi.scoring.gaussian import Gaussian, GaussianAccumulator

BACKBONE, LAYER = "vgg16-imagenet", "relu4_3"
"""The feature network that comes from the package index; its layer's mean over positions has 512 dimensions."""
SAMPLES_SEED = 20_000


@torch.no_grad()
def statistics(batches: Iterable[Tensor], backbone: Backbone, layer: str = LAYER) -> Gaussian:
    """Mean and covariance of the layer's mean over positions, of images [B, 3, R, R] in [-1, 1]."""
    seen = GaussianAccumulator(backbone.channels(layer))
    for images in batches:
        seen.update(backbone(images, [layer])[layer].mean(dim=(2, 3)))
    return seen.result()


def score(
    sample: Callable[[Tensor], Tensor],
    z_dim: int,
    held_out: Gaussian,
    backbone: Backbone,
    samples: int,
    device: str | torch.device = "cpu",
) -> float:
    """`relative_frechet` of `samples` generated images from the held-out statistics; always of the same codes.

    Args:
        sample: z [B, D] -> images [B, 3, R, R].
    """
    random = torch.Generator().manual_seed(SAMPLES_SEED)
    z = torch.randn(samples, z_dim, generator=random)
    # 8-bit like the held-out images: what a file would hold is what is judged.
    images = (to_float(to_uint8(sample(part)), device) for part in z.split(64))
    return relative_frechet(statistics(images, backbone), held_out)


def relative_frechet(images: Gaussian, held_out: Gaussian) -> float:
    """The Frechet distance in units of the held-out images' total variance, so that its scale is nobody's pixel scale.

    0 is perfect; 1 is a generator that always makes the mean of the real features.
    """
    return frechet_distance(images, held_out) / float(np.trace(held_out.covariance))
