"""Swapping Autoencoder: the source's structure decoded with the exemplar's texture.

`options.model` is a file that `mgi train translator swapping-autoencoder` made, or `options.checkpoint` a released one
of the public code (taesungp/swapping-autoencoder-pytorch, such as `ffhq512_pretrained/latest_checkpoint.pth`), which
does not ship. `options.size` are the rows of the pictures (as the model was trained; 512 for a checkpoint),
`options.mix` (1.0) mixes the source's texture with the exemplar's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.images import to_float, to_uint8
from mgi.systems.swapping_autoencoder import SwappingAutoencoder
from mgi.systems.swapping_networks import Autoencoder, Shape, used
from mgi.translators.base import Progress, Result
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.translators.released import module_of, read_released
from mgi.translators.trained import model_or_checkpoint, read_model

OPTIONS = ("model", "checkpoint", "size", "mix")
NAME = "swapping-autoencoder"
WHOSE = "the public code (taesungp)"
CHECKPOINT_SIZE = 512


class Swapping:
    """A `Translator`.

    Raises:
        mgi.weights.WeightsMissing: the user has named no file, or it is not there.
        ConfigError: another option, or a file of another system or layout.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self._device = config, device
        given = known_options(config, NAME, OPTIONS)
        self.network, size = self._read(given)
        self._size, self._mix = int(given.get("size", size)), float(given.get("mix", 1.0))
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

    def _read(self, given: Mapping[str, Any]) -> tuple[Autoencoder | SwappingAutoencoder, int]:
        """(the two networks, rows of pictures that they are meant for)."""
        if model_or_checkpoint(NAME, given, WHOSE) == "model":
            system, _ = read_model(NAME, given["model"], self._device)
            return cast("SwappingAutoencoder", system), system.config.size
        tensors = used(read_released(NAME, "checkpoint", given["checkpoint"], WHOSE))
        network = module_of(NAME, "checkpoint", tensors, lambda: Autoencoder(Shape.of(tensors)), self._device)
        return network, CHECKPOINT_SIZE

    def _codes(self, image: np.ndarray) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.network.E(to_float(image, self._device))
        return found


METHOD = Method(
    name=NAME,
    summary="the source's structure with the exemplar's texture, trained on a folder of one's own or released",
    paper="Park et al., NeurIPS 2020",
    translator="mgi.translators.swapping_autoencoder:Swapping",
    brings=("options.model or options.checkpoint",),
)
