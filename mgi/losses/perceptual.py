"""Distances between the feature pyramids of two images, one value per lane: third choice of D in MGI equation 7.

Pyramids are {layer: [B, C, h, w]} as a `Backbone` returns them; the target's is computed once and kept. Published
distances that depend on the scale of features are stated for networks that expect pixels of unit variance; `unit` is a
network's own scale (`Backbone.unit`), by which features are divided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.losses.pixel import l1, l2

PerceptualNorm = Literal["mganprior", "relative", "mse", "unit", "lpips"]
Pyramid = Mapping[str, Tensor]

_EPSILON = 1e-8


def perceptual_mganprior(features: Pyramid, target: Pyramid, unit: float = 1.0) -> Tensor:
    """0.001 * sum over layers of mean |phi(x) - phi(r)|, phi of unit-variance pixels: mGANprior's distance -> [B]."""
    return 1e-3 / unit * _over_layers(l1, features, target).sum(0)


def perceptual_relative(features: Pyramid, target: Pyramid, unit: float = 1.0) -> Tensor:
    """mean over layers of (mean |phi(x) - phi(r)| / mean |phi(r)|) -> [B]; 1 is "as far from r as zero is".

    Free of the scale of layers and of pixel conventions, so that one weight suits any network and any layers.
    """
    magnitude = torch.stack([target[layer].abs().mean(dim=(1, 2, 3)) for layer in features])
    return (_over_layers(l1, features, target) / (magnitude + _EPSILON)).mean(0)


def perceptual_mse(features: Pyramid, target: Pyramid, unit: float = 1.0) -> Tensor:
    """sum over layers of mean (phi(x) - phi(r))^2, phi of unit-variance pixels: Image2StyleGAN, lambda_j = 1 -> [B]."""
    return _over_layers(l2, features, target).sum(0) / unit**2


def perceptual_unit(features: Pyramid, target: Pyramid, unit: float = 1.0) -> Tensor:
    """sum over layers of mean over positions of |u(x) - u(r)|^2, u the feature vector at unit length -> [B].

    LPIPS with all channel weights 1, which needs no learnt weights.
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return (F.normalize(x, dim=1) - F.normalize(y, dim=1)).square().sum(1).mean((1, 2))

    return _over_layers(distance, features, target).sum(0)


_NORMS: dict[str, Callable[[Pyramid, Pyramid, float], Tensor]] = {
    "mganprior": perceptual_mganprior,
    "relative": perceptual_relative,
    "mse": perceptual_mse,
    "unit": perceptual_unit,
}


def perceptual_lpips(features: Pyramid, target: Pyramid, heads: Pyramid) -> Tensor:
    """LPIPS: sum over layers of mean over positions of sum over c of w_c (u(x) - u(r))_c^2 -> [B].

    Args:
        heads: {layer: w [C]}, the learnt weights of the channels.
    """
    total = []
    for layer, feature in features.items():
        difference = F.normalize(feature, dim=1, eps=_EPSILON) - F.normalize(target[layer], dim=1, eps=_EPSILON)
        total.append((difference.square() * heads[layer].view(1, -1, 1, 1)).sum(1).mean((1, 2)))
    return torch.stack(total).sum(0)


def perceptual(
    features: Pyramid, target: Pyramid, norm: PerceptualNorm, unit: float = 1.0, heads: Pyramid | None = None
) -> Tensor:
    """The perceptual distance (D of MGI equation 7) that `inversion.perceptual_norm` names -> [B].

    Args:
        unit: scale of the network's features against those of unit-variance pixels.
        heads: channel weights, needed for lpips.
    """
    if norm == "lpips":
        if heads is None:
            raise ValueError("the distance lpips needs the channel weights of the backbone lpips-vgg")
        return perceptual_lpips(features, target, heads)
    return _NORMS[norm](features, target, unit)


def _over_layers(distance: Callable[[Tensor, Tensor], Tensor], features: Pyramid, target: Pyramid) -> Tensor:
    return torch.stack([distance(feature, target[layer]) for layer, feature in features.items()])
