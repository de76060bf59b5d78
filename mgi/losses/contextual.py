"""Contextual loss (OEFT equation 10): do two pictures have the same features, in whatever places?"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Centre = Literal["image", "batch", "place"]

_EPSILON = 1e-5


def contextual_similarity(
    x: Tensor, y: Tensor, band_width: float = 0.5, centre: Centre = "image", epsilon: float = _EPSILON
) -> Tensor:
    """X(x_i, y_j) of equation 10: how much x_i prefers y_j to the other positions of y -> [B, N_x, N_y], rows sum to 1.

    Args:
        x, y: features [B, C, h, w]; positions may differ in number.
        band_width: h; 0.5 in the original, 0.1 in CoCosNet.
        centre: both are centred on y's channel means, over each `image` (lanes stay independent; the paper's formula
            and CoCosNet's code) or over the whole `batch` (the code of the loss's authors), or on y's mean over
            channels at every `place` (CoCosNet's code with --PONO; both have the same places).
        epsilon: of the division by the smallest distance.
    """
    mean = y.mean(dim={"image": (2, 3), "batch": (0, 2, 3), "place": (1,)}[centre], keepdim=True)
    x_unit, y_unit = (F.normalize(features - mean, dim=1).flatten(2) for features in (x, y))
    distance = 1 - x_unit.transpose(1, 2) @ y_unit
    relative = distance / (distance.amin(dim=2, keepdim=True) + epsilon)
    return torch.softmax((1 - relative) / band_width, dim=2)


def contextual(x: Tensor, y: Tensor, band_width: float = 0.5, centre: Centre = "image") -> Tensor:
    """L_context = -log mean over j of max over i of X(x_i, y_j) (OEFT equation 10), of x towards y -> [B].

    The paper sums over positions; their mean, as published code has it, adds a constant and keeps the loss positive.
    """
    similarity = contextual_similarity(x, y, band_width, centre)
    return -torch.log(similarity.amax(dim=1).mean(dim=1) + _EPSILON)


def contextual_forward(x: Tensor, y: Tensor, band_width: float = 0.1, centre: Centre = "place") -> Tensor:
    """-log mean over i of max over j of X(x_i, y_j): every place of x has one of y that it resembles -> [B].

    The direction of CoCosNet's code (its equation 8), with its 0.001 in the division.
    """
    similarity = contextual_similarity(x, y, band_width, centre, 1e-3)
    return -torch.log(similarity.amax(dim=2).mean(dim=1))


def contextual_literal(x: Tensor, y: Tensor, band_width: float = 0.5, centre: Centre = "image") -> Tensor:
    """L_context of equation 10 as written, with x the warp and y the exemplar -> [B].

    -log sum over u of max over l of X(phi(x_T)(u), phi(x_{T->S})(l)): u runs over the exemplar, l over the warp. X is
    that of the loss's authors: its values for one position of the warp sum to 1 over the exemplar. The result lies
    below that of `contextual` by the logarithm of the number of positions.
    """
    similarity = contextual_similarity(x, y, band_width, centre)
    return -torch.log(similarity.amax(dim=1).sum(dim=1))
