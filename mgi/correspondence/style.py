"""The losses that keep the exemplar's style during fine-tuning: OEFT equations 9-10 by a frozen network phi.

Pyramids are {layer: [V B, C, h, w]} of phi, V views of B pairs, view by view.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mgi.config import Oeft
from mgi.images import resize
from mgi.losses import contextual, contextual_literal, gram_literal, gram_relative


class Style:
    """The perceptual and the contextual loss (OEFT equations 9-10), as the settings ask for.

    Args:
        settings: forms, layers and weights; a loss of weight 0 has no layers.
        pairs: B.
        unit: scale of phi's features (`Backbone.unit`).
    """

    def __init__(self, settings: Oeft, pairs: int, unit: float) -> None:
        self._settings, self._pairs, self._unit = settings, pairs, unit
        self._gram_layers = settings.perceptual_layers if settings.perceptual_weight else ()
        self._context_layers = settings.context_layers if settings.context_weight else ()
        self.layers = tuple(dict.fromkeys((*self._gram_layers, *self._context_layers)))

    def perceptual(self, found: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor | None:
        """L_perc of the warps' features towards the exemplars', [V B]; None if it is switched off."""
        if not self._gram_layers:
            return None
        x, y = ({layer: pyramid[layer] for layer in self._gram_layers} for pyramid in (found, targets))
        if self._settings.perceptual_form == "literal":
            return gram_literal(x, y, self._unit)
        return gram_relative(x, y)

    def context(self, found: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor | None:
        """L_context, the mean over its layers, [V B]; None if it is switched off."""
        if not self._context_layers:
            return None
        parts = [self._context(self._few(found[x]), self._few(targets[x])) for x in self._context_layers]
        return torch.stack(parts).mean(0)

    def _context(self, x: Tensor, y: Tensor) -> Tensor:
        s = self._settings
        loss = contextual_literal if s.context_form == "literal" else contextual
        if s.context_centre == "image":
            return loss(x, y, s.context_band_width)
        # The views of one pair are its batch; pairs side by side do not mix.
        views = [(x[b :: self._pairs], y[b :: self._pairs]) for b in range(self._pairs)]
        return torch.stack([loss(*pair, s.context_band_width, "batch") for pair in views], dim=1).flatten()

    def _few(self, features: Tensor) -> Tensor:
        """Features at no more than `context_size` rows and columns."""
        return resize(features, min(self._settings.context_size, features.shape[-1]), "area")
