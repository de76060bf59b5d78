"""Swapping Autoencoder: the source's structure decoded with the exemplar's texture.

`options.checkpoint` is a released or own checkpoint of the public code (taesungp/swapping-autoencoder-pytorch, such as
`ffhq512_pretrained/latest_checkpoint.pth`), which does not ship. `options.size` (512) are the rows of the pictures,
`options.mix` (1.0) mixes the source's texture with the exemplar's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.images import to_float, to_uint8
from mgi.translators.base import Progress, Result
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.translators.released import module_of, read_released
from mgi.translators.swapping.network import Shape, SwappingAutoencoder, used

OPTIONS = ("checkpoint", "size", "mix")
NAME = "swapping-autoencoder"


class Swapping:
    """A `Translator`.

    Raises:
        mgi.weights.WeightsMissing: the user has named no checkpoint, or it is not there.
        ConfigError: another option, or a checkpoint of another layout.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self._device = config, device
        given = known_options(config, NAME, OPTIONS)
        tensors = used(read_released(NAME, "checkpoint", given.get("checkpoint"), "the public code (taesungp)"))
        self.network = module_of(NAME, "checkpoint", tensors, lambda: SwappingAutoencoder(Shape.of(tensors)), device)
        self._size, self._mix = int(given.get("size", 512)), float(given.get("mix", 1.0))
        step = 2 ** len(self.network.shape.up)
        smallest = step * (2 ** (len(self.network.shape.more) + 1) - 1)  # its texture has one place
        if self._size < smallest or self._size % step:
            raise ConfigError(f"options.size: expected a multiple of {step}, at least {smallest}, found {self._size}")

    @property
    def picture_size(self) -> int:
        """Rows of pictures."""
        return self._size

    @torch.no_grad()
    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """`options.size` rows; `seed` draws the noise of the generator."""
        (structure, own), (_, other) = self._codes(source), self._codes(exemplar)
        texture = own + (other - own) * self._mix
        image = self.network.G(structure, texture, torch.Generator().manual_seed(seed))
        return Result(to_uint8(image.clamp(-1, 1))[0])

    def _codes(self, image: np.ndarray) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.network.E(to_float(image, self._device))
        return found


METHOD = Method(
    name=NAME,
    summary="the source's structure with the exemplar's texture, by the user's checkpoint",
    paper="Park et al., NeurIPS 2020",
    translator="mgi.translators.swapping.translator:Swapping",
    brings=("options.checkpoint",),
)
