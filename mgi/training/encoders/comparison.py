"""How trainings of encoders compare what a generator shows with what it should show (equation 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from mgi.features import Backbone, load_backbone
from mgi.features.efficientnet import Lite0
from mgi.losses.perceptual import perceptual_unit
from mgi.losses.pixel import l2
from mgi.training.encoders.config import EncoderConfig
from mgi.training.encoders.networks import BODY

LAYERS = ("stride4", "stride8", "stride16")
"""Of EfficientNet-Lite0, in which pictures are compared."""


class Comparison:
    """Pixels, features, and who a face is.

    Args:
        config: the weights of the terms.
        device: of the networks.
    """

    def __init__(self, config: EncoderConfig, device: torch.device) -> None:
        features = load_backbone(BODY, device)
        assert isinstance(features, Lite0)
        self.features: Lite0 = features
        self._config = config
        self._faces: Backbone | None = load_backbone("ir-se50", device) if config.identity_weight else None

    def terms(self, shown: Tensor, pictures: Tensor) -> dict[str, Tensor]:
        """Equation 4 of pictures [B, 3, s, s] in [-1, 1], by name, weighted."""
        config, terms = self._config, {"pixel": self._config.pixel_weight * l2(shown, pictures).mean()}
        if config.perceptual_weight:
            target = self.features(pictures, LAYERS)
            difference = perceptual_unit(self.features(shown, LAYERS), target).mean()
            terms["perceptual"] = config.perceptual_weight * difference
        if self._faces is not None:
            with torch.no_grad():
                whose = self._faces(pictures, self._faces.layers)
            who = self._faces(shown, self._faces.layers)
            likeness = torch.stack([(who[layer] * whose[layer]).sum((1, 2, 3)).mean() for layer in who]).mean()
            terms["identity"] = config.identity_weight * (1 - likeness)
        return terms

    @torch.no_grad()
    def errors(self, found: Tensor, pictures: Tensor) -> dict[str, Tensor]:
        """Squared error of pixels and perceptual distance of two batches, each [B]."""
        features = self.features(found, LAYERS)
        return {"l2": l2(found, pictures), "perceptual": perceptual_unit(features, self.features(pictures, LAYERS))}
