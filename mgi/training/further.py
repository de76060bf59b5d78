"""What a generator is trained on beside the discriminator's opinion: terms that count if their weight is not 0."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from mgi.features import Backbone
from mgi.training.adapted import Adapted
from mgi.training.config import TrainingConfig
from mgi.training.consistency import SAMPLES, consistency_loss
from mgi.training.reconstruction import UNIFORMITY, reconstruction_loss, uniformity
from mgi.training.spectrum import spectrum_excess
from mgi.training.structure import structure_distance


class FurtherTerms:
    """The weighted sum of reconstruction, spectrum, structure and consistency of one step.

    `parent` is what structure and consistency are compared with, or None.

    Args:
        config: weights.
        generator: as it is before the first step; if it is adapted, a copy stays as the parent.
        generate: the same, perhaps compiled.
        encoder: of the reconstruction; None: there is none.
        features: gives the network that reconstructions are compared by.
        autocast: the arithmetic of a step.
    """

    def __init__(
        self,
        config: TrainingConfig,
        generator: nn.Module,
        generate: Callable[[Tensor], Tensor],
        encoder: nn.Module | None,
        features: Callable[[], Backbone],
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._config, self._generate, self._encoder = config, generate, encoder
        self._features, self._autocast = features, autocast
        self._generator: Any = generator
        kept = (config.structure or config.consistency) and isinstance(generator, Adapted)
        self.parent: Any = copy.deepcopy(generator).requires_grad_(False) if kept else None

    def __call__(self, z: Tensor, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor | float:
        """Of codes [B, D], real images [B, 3, R, R] and those of the codes; `random` draws codes of the consistency."""
        total: Tensor | float = 0.0
        if self._encoder is not None:
            total = total + self._config.reconstruction * self._reconstruction(real)
        if self._config.spectrum:  # of sharp images: the discriminator's sight may be blurred
            total = total + self._config.spectrum * spectrum_excess(fake, real)
        if self.parent is not None and self._config.structure:
            with torch.no_grad(), self._autocast():
                of_parent = self.parent(z)
            total = total + self._config.structure * structure_distance(fake, of_parent.float())
        if self.parent is not None and self._config.consistency:
            total = total + self._config.consistency * self._consistency(random, fake.device)
        return total

    def _reconstruction(self, real: Tensor) -> Tensor:
        assert self._encoder is not None
        real = real[: len(real) // 2]  # of half the batch: it costs as much as the adversarial step otherwise
        with self._autocast():
            codes = self._encoder(real)
            images = self._generate(codes)
        backbone = self._features()
        loss = reconstruction_loss(images.float(), real, backbone, backbone.layers[:3])
        return loss + UNIFORMITY * uniformity(codes.float())

    def _consistency(self, random: torch.Generator, device: torch.device) -> Tensor:
        z = torch.randn(SAMPLES, self._config.z_dim, generator=random).to(device)
        with self._autocast():
            features = self._generator.features(z)
            with torch.no_grad():
                of_parent = self.parent.features(z)
        return consistency_loss(features, of_parent)
