"""How near a lane came, by one ruler for all methods: what they optimise must not decide how they are measured."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mgi.config import Inversion
from mgi.degradations import Degradation
from mgi.features import Backbone
from mgi.inversion.objective import Objective
from mgi.translators.networks import RULER_BACKBONE

RULER = {
    "perceptual_norm": "relative",
    "perceptual_backbone": RULER_BACKBONE,
    "perceptual_layers": ("relu1_2", "relu2_2", "relu3_3"),
}


class Ruler:
    """L2 and the relative VGG distance.

    Args:
        settings: of the inversion; its `perceptual_size` is the size of comparison.
        backbone: loads a feature network by its name.
    """

    def __init__(self, settings: Inversion, backbone: Callable[[str], Backbone]) -> None:
        self._settings = settings.model_copy(update=RULER)
        self._backbone = backbone(self._settings.perceptual_backbone)

    @torch.no_grad()
    def observed(self, image: Tensor, operator: Degradation, seen: Tensor, picture: int) -> dict[str, float]:
        """`l2` and `vgg` of an image [1, 3, S, S], degraded as the picture was, to what was seen of it [P, 3, S, S]."""
        target, degraded = operator.shrink(seen[picture : picture + 1]), operator(image, [picture])
        return {"l2": float((degraded - target).square().mean()), "vgg": self._vgg(degraded, target)}

    @torch.no_grad()
    def truth(self, image: Tensor, whole: Tensor) -> dict[str, float]:
        """`true_psnr` in dB and `true_vgg` of an image to the whole picture, both [1, 3, S, S]."""
        error = (image.clamp(-1, 1) - whole).square().mean()
        return {"true_psnr": float(10 * torch.log10(4 / error)), "true_vgg": self._vgg(image, whole)}

    def _vgg(self, image: Tensor, target: Tensor) -> float:
        return float(Objective(target, self._settings, self._backbone).perceptual(image))
