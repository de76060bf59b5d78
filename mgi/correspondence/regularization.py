"""The "regularization loss" that OEFT's introduction names and its equation 11 lacks: readings, docs/oeft.md."""

from __future__ import annotations

from torch import Tensor

from mgi.config import Warp
from mgi.correspondence.matching import soft_warp
from mgi.images import resize
from mgi.losses import l1


def cycle(source_unit: Tensor, target_unit: Tensor, exemplar: Tensor, config: Warp) -> Tensor:
    """mean |r_{T->S->T} - x_T|: the exemplar, to the source and back by the same M, is unchanged -> [B].

    CoCosNet's correspondence regularization, at the size of matching. r_{T->S} is equation 6, and
    r_{T->S->T}(v) = sum over u of softmax_u(alpha M(u, v)) r_{T->S}(u).

    Args:
        source_unit, target_unit: [B, C, size, size], centred, unit length.
        exemplar: [B, 3, S, S].
        config: temperature and patch.
    """
    colours = resize(exemplar, target_unit.shape[-1], "area")
    there = soft_warp(source_unit, target_unit, colours, config.temperature, config.patch)
    back = soft_warp(target_unit, source_unit, there, config.temperature, config.patch)
    return l1(back, colours)
