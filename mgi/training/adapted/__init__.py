"""Pretrained generators cut at a smaller size and made trainable: where adapting one to other pictures starts."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mgi.training.adapted.base import Adapted
from mgi.training.adapted.mobile import AdaptedMobile
from mgi.training.adapted.pggan import AdaptedPGGAN
from mgi.training.adapted.stylegan2 import AdaptedStyleGAN2

__all__ = ["Adapted", "AdaptedMobile", "AdaptedPGGAN", "AdaptedStyleGAN2", "adapted"]


def adapted(start: Mapping[str, Tensor]) -> Adapted:
    """The trainable generator that begins with these tensors (`mgi.training.parents.start_of`)."""
    if "synthesis.input" in start:
        return AdaptedMobile(start)
    return AdaptedStyleGAN2(start) if "const" in start else AdaptedPGGAN(start)
