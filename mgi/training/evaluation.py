"""The score of a generator in training: `relative-frechet` of samples, always from the same codes.

Beside it the share of repeated detail: the score hardly sees a dot in every sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mgi.features import Backbone, load_backbone
from mgi.images import to_float, to_uint8
from mgi.metrics.gaussian import Gaussian
from mgi.metrics.relative_frechet import NETWORK, relative_frechet, statistics
from mgi.training.data import Pictures, loader
from mgi.training.repeated import repeated_share

SAMPLES_SEED = 20_000
REAL_BATCH = 64


class HeldOut:
    """The images that no generator was trained on, and how far a generator's samples are from them.

    `real` is the distance of as many training images: what a perfect generator would score; `repeated` is the
    `repeated_percent` of 64 held-out images.

    Args:
        pixels: all images, uint8 [N, R, R, 3].
        train, held_out: their rows, as `mgi.training.data.split` gives them.
        device: where to compute.
    """

    def __init__(self, pixels: np.ndarray, train: list[int], held_out: list[int], device: torch.device) -> None:
        self.backbone: Backbone = load_backbone(NETWORK, device)
        self.device = device
        self.held_out = self._of(pixels, held_out)
        self.repeated = repeated_percent(to_float(pixels[held_out[:REAL_BATCH]]))
        self.real = relative_frechet(self._of(pixels, train[:: max(1, len(train) // len(held_out))]), self.held_out)

    @torch.no_grad()
    def score(self, sample: Callable[[Tensor], Tensor], z_dim: int, samples: int) -> float:
        """`relative_frechet` of `samples` generated images, at the generator's own size.

        Args:
            sample: z [B, D] -> images [B, 3, R, R].
            z_dim: D.
            samples: how many.
        """
        random = torch.Generator().manual_seed(SAMPLES_SEED)
        z = torch.randn(samples, z_dim, generator=random)
        # 8-bit like the held-out images: the score judges what a file would hold.
        images = (to_float(to_uint8(sample(part)), self.device) for part in z.split(64))
        return relative_frechet(statistics(images, self.backbone), self.held_out)

    def _of(self, pixels: np.ndarray, rows: list[int]) -> Gaussian:
        pictures = Pictures(pixels, rows)
        order = [list(range(at, min(at + REAL_BATCH, len(rows)))) for at in range(0, len(rows), REAL_BATCH)]
        return statistics((batch.to(self.device) for batch in loader(pictures, order)), self.backbone)


def repeated_percent(images: Tensor) -> float:
    """`repeated_share` of images [B, 3, R, R] in %, to one place."""
    return round(100 * float(repeated_share(images)), 1) + 0.0
