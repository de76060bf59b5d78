"""The reconstruction term: the generator also has to reproduce the training images from codes that an encoder finds.

An adversarial gradient says little while the generator's images are far from real ones; a reconstruction shows at once
what belongs where. Autoencoding generators go back to Larsen et al. 2016; here codes live on the sphere to which the
generator normalises its latents, spread out over it (Wang and Isola 2020), so random codes lie among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mgi.features import Backbone
from mgi.losses import l1, perceptual_relative

UNIFORMITY = 0.1
"""Weight of the spreading, relative to the reconstruction."""


def reconstruction_loss(images: Tensor, real: Tensor, backbone: Backbone, layers: Sequence[str]) -> Tensor:
    """L1 of pixels plus the mean relative L1 of features: images and real [B, 3, R, R] -> scalar."""
    with torch.no_grad():
        target = backbone(real, layers)
    return (l1(images, real) + perceptual_relative(backbone(images, layers), target)).mean()


def uniformity(codes: Tensor) -> Tensor:
    """log E exp(-2 |a - b|^2) over pairs of unit vectors: small where codes [B, D] cover the sphere."""
    unit = torch.nn.functional.normalize(codes, dim=1)
    # Not torch.pdist, whose gradient is NaN if two codes are equal.
    distances = (2 - 2 * unit @ unit.T)[~torch.eye(len(unit), dtype=torch.bool, device=unit.device)]
    return distances.mul(-2).exp().mean().log()
