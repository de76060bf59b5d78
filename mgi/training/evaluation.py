"""The score of a generator in training: `relative-frechet` of samples, always from the same codes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mgi.features import Backbone
from mgi.images import to_float, to_uint8
from mgi.metrics.gaussian import Gaussian
from mgi.metrics.relative_frechet import relative_frechet, statistics

SAMPLES_SEED = 20_000


@torch.no_grad()
def score(
    sample: Callable[[Tensor], Tensor],
    z_dim: int,
    held_out: Gaussian,
    backbone: Backbone,
    samples: int,
    device: str | torch.device = "cpu",
) -> float:
    """`relative_frechet` of `samples` generated images from the held-out statistics, at the generator's own size.

    Args:
        sample: z [B, D] -> images [B, 3, R, R].
    """
    random = torch.Generator().manual_seed(SAMPLES_SEED)
    z = torch.randn(samples, z_dim, generator=random)
    # 8-bit like the held-out images: the score judges what a file would hold.
    images = (to_float(to_uint8(sample(part)), device) for part in z.split(64))
    return relative_frechet(statistics(images, backbone), held_out)
