"""Do two pictures have the same style? Distances between Gram matrices (OEFT equation 9), one value per lane.

Pyramids are {layer: [B, C, h, w]} of the original network; the paper does not name the layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgi.losses.perceptual import Pyramid
from mgi.losses.pixel import l2

_EPSILON = 1e-8


def gram(features: Tensor) -> Tensor:
    """G(c, c') = mean over u of phi(u, c) phi(u, c') (OEFT equation 9, second line): [B, C, h, w] -> [B, C, C].

    The paper sums over positions; the mean differs by the constant h w and does not depend on the picture's size.
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[-1]


def gram_relative(features: Pyramid, target: Pyramid) -> Tensor:
    """mean over layers of |G(x) - G(r)|^2 / |G(r)|^2 (Frobenius norms): equation 9 free of the scale of layers -> [B].

    The squared entries of G grow with the fourth power of the features: under `gram_literal` one layer of the original
    VGG-16 outweighs another a million times, and no single weight fits two networks.
    """
    distances = []
    for layer, feature in features.items():
        of_target = gram(target[layer])
        distances.append(l2(gram(feature), of_target) / (of_target.square().mean(dim=(1, 2)) + _EPSILON))
    return torch.stack(distances).mean(0)


def gram_literal(features: Pyramid, target: Pyramid, unit: float = 1.0) -> Tensor:
    """L_perc of equation 9 as written -> [B].

    l(x, r) = sum over c, c' of (G(x)(c, c') - G(r)(c, c'))^2 with G(c, c') = sum over u of phi(u, c) phi(u, c'): sums
    throughout (the sum of G runs over c' in print, which must be u). phi is one layer there; here the layers are added
    up.

    Args:
        unit: scale of the network's features against those of unit-variance pixels (`Backbone.unit`), taken out of phi.
    """
    distances = []
    for layer, feature in features.items():
        positions = feature.shape[-2] * feature.shape[-1]
        difference = positions * (gram(feature / unit) - gram(target[layer] / unit))
        distances.append(difference.square().sum(dim=(1, 2)))
    return torch.stack(distances).sum(0)
