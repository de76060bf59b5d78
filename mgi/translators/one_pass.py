"""What methods with an encoder share: a picture's latents in one pass, and the generator's image of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.directions import LatentSpace, read_direction, require_fit
from mgi.encoders.codes import Codes, render
from mgi.features import load_backbone
from mgi.generators import Generator, is_styled
from mgi.images import resize, to_float, to_uint8
from mgi.restoring import Restorer
from mgi.translators.base import Progress, Result, Warped
from mgi.translators.observing import observe
from mgi.translators.refining import refine
from mgi.weights import WeightsMissing

COMMON = ("exemplar_from", "refine", "restore", "direction", "amount")
"""Options that all of them know."""
PICTURE = 256
"""Rows of pictures, unless the generator makes smaller ones."""
Encode = Callable[[Tensor], Tensor]
"""Pictures [B, 3, s, s] in [-1, 1] -> W+ [B, styles, D], or z [B, 1, D] of a generator without styles."""


class OnePass:
    """A `Translator` that `Inverts`.

    Options of all of them: `restore`, an ONNX network that pictures go through first; `refine`, so many steps that move
    the latents under the profile's loss; `direction` and `amount`, along which they are edited at last.

    Args:
        config: profile, degradation and options.
        device: torch device of its networks.
        generator: whose latents are said.
        encode: says them.
        codes: the coordinates that are refined.
        size: rows that the encoder reads.
        exemplar_from: with an exemplar, its styles from this one on.

    Raises:
        ConfigError: an option of another kind, or a file that cannot be used.
        mgi.weights.WeightsMissing: there is no such file.
    """

    def __init__(
        self,
        config: RunConfig,
        device: str,
        generator: Generator,
        encode: Encode,
        codes: Codes,
        size: int,
        exemplar_from: int,
    ) -> None:
        self.config, self._device, self._size, self._from = config, device, size, exemplar_from
        self.generator, self.encode, self._codes = generator, encode, codes.to(device)
        given = config.options.model_dump()
        self._steps = given.get("refine", 0)
        if type(self._steps) is not int or self._steps < 0:
            raise ConfigError(f"options.refine: expected a number of steps, found {self._steps!r}")
        for option in ("restore", "direction"):
            if given.get(option) and not Path(str(given[option])).expanduser().is_file():
                message = f"options.{option}: expected a file, found no {given[option]}"
                raise WeightsMissing(message, "there is no such file")
        self._restore = Restorer(given["restore"]) if given.get("restore") else None
        self.edit = _edit(given, generator, device)
        settings = config.inversion
        compares = self._steps and settings.perceptual_weight
        self._backbone = load_backbone(settings.perceptual_backbone, device) if compares else None

    @property
    def picture_size(self) -> int:
        """Rows of pictures, which metrics and refinement see; the encoder reads them at its own size."""
        return min(PICTURE, self.generator.resolution)

    @property
    def device(self) -> str:
        """Of its networks."""
        return self._device

    def read(self, image: np.ndarray) -> Tensor:
        """A picture uint8 [S, S, 3] as the encoder sees it, [1, 3, s, s], restored if asked for."""
        picture = to_float(image, self._device)
        if self._restore is not None:
            picture = self._restore(picture)
        return resize(picture, self._size)

    @torch.no_grad()
    def encoded(self, read: Tensor) -> Tensor:
        """A picture as the encoder sees it -> its latents [1, rows, D]."""
        return self.encode(read)

    def styles_of(self, image: np.ndarray) -> Tensor:
        """A picture uint8 [S, S, 3] -> its latents [1, rows, D]."""
        return self.encoded(self.read(image))

    def observe(self, image: np.ndarray, seed: int) -> Warped:
        """A picture as it looks after the configured degradation."""
        return observe(image, seed, self.config.inversion, len(image), self._device)

    def reconstruct(self, image: np.ndarray, seed: int = 0, progress: Progress | None = None) -> Result:
        """The picture of what is observed, at the generator's resolution, refined if asked for."""
        seen = self.observe(image, seed)
        read = self.read(seen.warp)
        latents = self.encoded(read)
        if not self._steps:
            return Result(self.finished(latents, read), seen.warp, info=seen.info)
        latents, loss = refine(
            self.generator,
            self._codes,
            latents,
            seen.warp,
            seed,
            self.config.inversion,
            self._backbone,
            self._steps,
            progress,
        )
        return Result(self.finished(latents, read), seen.warp, {"loss": loss}, seen.info)

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """The source with the exemplar's finer styles.

        Raises:
            ConfigError: the generator has no styles to mix.
        """
        if not is_styled(self.generator):
            raise ConfigError(f"{self.generator.name} has no styles to mix; use `mgi invert`, or another method")
        read = self.read(source)
        mixed = self.encoded(read).clone()
        mixed[:, self._from :] = self.styles_of(exemplar)[:, self._from :]
        return Result(self.finished(mixed, read))

    @torch.no_grad()
    def finished(self, latents: Tensor, read: Tensor) -> np.ndarray:
        """The image uint8 [R, R, 3] of latents [1, rows, D], edited if asked for, for a picture as it was read."""
        found: np.ndarray = to_uint8(self.images(latents, read).clamp(-1, 1))[0]
        return found

    def images(self, latents: Tensor, read: Tensor) -> Tensor:
        """[1, 3, R, R], not clipped."""
        return self.generator_image(latents + self.edit)

    def generator_image(self, latents: Tensor) -> Tensor:
        """[1, 3, R, R] of latents, as the generator makes it."""
        return render(self.generator, latents, self.generator.resolution)


def _edit(given: dict[str, Any], generator: Generator, device: str) -> Tensor:
    """What `direction` and `amount` add to latents, [styles, D], [1, D] or a zero."""
    if not given.get("direction"):
        if "amount" in given:
            raise ConfigError("options.amount says how far along options.direction, which is missing")
        return torch.zeros((), device=device)
    amount = given.get("amount", 1.0)
    if not isinstance(amount, int | float) or isinstance(amount, bool):
        raise ConfigError(f"options.amount: expected a number, found {amount!r}")
    direction = read_direction(Path(str(given["direction"])).expanduser())
    space: LatentSpace = "w" if is_styled(generator) else "z"
    require_fit(direction, generator.z_dim, generator.styles if is_styled(generator) else 0, space)
    return amount * torch.from_numpy(np.atleast_2d(direction.vector)).to(device)
