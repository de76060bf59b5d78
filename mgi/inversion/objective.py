"""Against what: D(down(y), r) of MGI equation 7, per lane, with the target's features computed once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import Inversion
from mgi.features import Backbone
from mgi.inversion.space import Latents
from mgi.losses import l1, l2, perceptual


class Objective:
    """Distance of down-sampled results to the warps, one number per lane.

    Args:
        targets: warps [B,3,S,S] in [-1, 1].
        settings: weights, layers and norms.
        backbone: the perceptual network; None where perceptual_weight is 0.
    """

    def __init__(self, targets: Tensor, settings: Inversion, backbone: Backbone | None) -> None:
        self.settings = settings
        self._backbone = backbone
        self._targets = {targets.shape[-1]: targets}
        self._features: dict[int, dict[str, Tensor]] = {}

    def __call__(self, images: Tensor, latents: Latents) -> tuple[Tensor, dict[str, Tensor]]:
        """Images [B,3,s,s] with s dividing S -> (loss [B], its parts by name, each [B])."""
        s = self.settings
        target = self._target(images.shape[-1])
        parts = {"l2": l2(images, target)}
        loss = s.pixel_weight * parts["l2"]
        if s.l1_weight:
            parts["l1"] = l1(images, target)
            loss = loss + s.l1_weight * parts["l1"]
        if s.perceptual_weight and self._backbone is not None:
            parts["perceptual"] = self.perceptual(images)
            loss = loss + s.perceptual_weight * parts["perceptual"]
        if s.prior_weight:
            count = latents.codes.shape[1] + latents.tail.shape[1]
            squares = latents.codes.square().mean(2).sum(1) + latents.tail.square().mean(2).sum(1)
            parts["prior"] = squares / count
            loss = loss + s.prior_weight * parts["prior"]
        return loss, parts

    def perceptual(self, images: Tensor) -> Tensor:
        """The perceptual distance [B] in the configured norm; the target's features are computed once per size."""
        s = self.settings
        assert self._backbone is not None
        size = min(images.shape[-1], s.perceptual_size)
        features = self._backbone(_reduce(images, size), s.perceptual_layers)
        if size not in self._features:
            with torch.no_grad():
                self._features[size] = self._backbone(
                    _reduce(self._target(images.shape[-1]), size), s.perceptual_layers
                )
        return perceptual(features, self._features[size], s.perceptual_norm)

    def _target(self, size: int) -> Tensor:
        if size not in self._targets:
            self._targets[size] = _reduce(self._targets[max(self._targets)], size)
        return self._targets[size]


def _reduce(images: Tensor, size: int) -> Tensor:
    side = images.shape[-1]
    if side == size:
        return images
    if side % size:
        raise ValueError(f"cannot compare at {size} pixels: {side} is not a multiple of it")
    return F.avg_pool2d(images, side // size)
