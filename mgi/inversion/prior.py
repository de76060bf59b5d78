"""The distribution of a generator's own latents, in whose units a step, a start and a prior mean the same everywhere.

For w-space generators: undoing the mapping network's last leaky ReLU makes w nearly Gaussian (Zhu et al., "Improved
StyleGAN Embedding", arXiv 2012.09036), and whitening that by its principal directions gives v ~ N(0, I). Optimising v
instead of w equalises the directions, whose standard deviations differ by three orders of magnitude; that alone removes
the plateau of the first 30-40 steps (docs/inversion.md). For z-space generators v is z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SLOPE = 0.2


@dataclass(frozen=True)
class LatentPrior:
    """w = lrelu(mean + basis (scale * v)): mean [D], basis [D,D] (columns are directions), scale [D]."""

    mean: Tensor
    basis: Tensor
    scale: Tensor

    def to_w(self, v: Tensor) -> Tensor:
        """v [...,D] in standard deviations -> w [...,D]."""
        return F.leaky_relu(self.mean + (v * self.scale) @ self.basis.t(), SLOPE)

    def to_v(self, w: Tensor) -> Tensor:
        """The inverse of `to_w`."""
        unsquashed = torch.where(w > 0, w, w / SLOPE)
        return ((unsquashed - self.mean) @ self.basis) / self.scale

    def diagonal(self) -> LatentPrior:
        """Each dimension by its own mean and standard deviation, without directions (PULSE's fit)."""
        deviation = (self.basis * self.scale).square().sum(1).sqrt()
        return LatentPrior(self.mean, torch.eye(len(self.mean), dtype=self.basis.dtype).to(self.basis), deviation)

    def to(self, device: str | torch.device) -> LatentPrior:
        """The same prior on another device."""
        return LatentPrior(self.mean.to(device), self.basis.to(device), self.scale.to(device))


@torch.no_grad()
def measure_prior(
    to_w: Callable[[Tensor], Tensor], dimension: int, samples: int = 100_000, seed: int = 0
) -> LatentPrior:
    """Mean, principal directions and standard deviations of `samples` latents w = to_w(z), z ~ N(0, I)."""
    random = torch.Generator().manual_seed(seed)
    batches = []
    for start in range(0, samples, 5000):
        w = to_w(torch.randn(min(5000, samples - start), dimension, generator=random))
        batches.append(torch.where(w > 0, w, w / SLOPE).double())
    unsquashed = torch.cat(batches)
    variance, basis = torch.linalg.eigh(torch.cov(unsquashed.t()))
    scale = variance.clamp(min=variance.max() * 1e-8).sqrt()  # directions without variance must not divide by zero
    return LatentPrior(unsquashed.mean(0).float(), basis.float(), scale.float())
