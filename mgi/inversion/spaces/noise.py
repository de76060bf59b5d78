"""Noise maps of a lane: the generator's stored ones, fresh ones, or optimised ones.

Only maps with up to `inversion.noise_rows` rows are a lane's own. Larger maps stay as stored: if they were optimised
they would explain the picture pixel by pixel, and a 1024-pixel generator has three million of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mgi.config import ConfigError, Inversion
from mgi.generators import Generator, StyledGenerator, is_styled
from mgi.inversion.latents import Latents, stacked

PREFIX = "noise"


class NoiseMaps:
    """Groups `noise01`, `noise02`, ... [h, w] of the layers after a start layer.

    Raises:
        ConfigError: noise is asked for and the generator has none.
    """

    def __init__(self, generator: Generator, settings: Inversion) -> None:
        self._settings = settings
        self._generator: StyledGenerator | None = None  # whose maps are drawn; None: all lanes have the stored ones
        if settings.noise != "stored":
            if not is_styled(generator):
                raise ConfigError(f"inversion.noise = {settings.noise}: this generator has no noise; use stored")
            self._generator = generator

    @property
    def used(self) -> bool:
        """Whether lanes have maps of their own."""
        return self._generator is not None

    def shapes(self, start_layer: int) -> dict[str, tuple[int, int]]:
        """Shapes of the groups; empty if the stored maps are used."""
        if self._generator is None:
            return {}
        shapes = self._generator.noise_shapes(start_layer)
        return {_name(layer): shape for layer, shape in shapes.items() if shape[0] <= self._settings.noise_rows}

    def start(self, seed: int, start_layer: int, device: str) -> Latents:
        """Fresh maps from the lane's seed."""
        if self._generator is None:
            return {}
        maps = self._generator.fresh_noise([seed], "cpu", start_layer)
        return {name: maps[int(name[len(PREFIX) :])][0, 0].to(device) for name in self.shapes(start_layer)}

    def maps(self, lanes: Sequence[Latents], start_layer: int) -> dict[int, Tensor] | None:
        """What the generator takes: layer -> [B, 1, h, w]."""
        if not self.used:
            return None
        return {int(name[len(PREFIX) :]): stacked(lanes, name)[:, None] for name in self.shapes(start_layer)}

    def retract(self, latents: Latents) -> None:
        """Normalise optimised maps to mean 0 and variance 1, in place (StyleGAN2's projector)."""
        if self._settings.noise != "optimised":
            return
        with torch.no_grad():
            for tensor in noise_groups(latents):
                tensor.sub_(tensor.mean()).div_(tensor.square().mean().sqrt() + 1e-8)


def noise_groups(latents: Latents) -> list[Tensor]:
    """The noise maps among a lane's groups."""
    return [tensor for name, tensor in latents.items() if name.startswith(PREFIX)]


def _name(layer: int) -> str:
    return f"{PREFIX}{layer:02d}"
