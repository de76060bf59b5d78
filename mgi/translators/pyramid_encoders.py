"""pSp and e4e: a picture's styles in one pass of an encoder, from a released checkpoint of the user's.

`options.checkpoint` is a file of the public code (`psp_ffhq_encode.pt`, `e4e_ffhq_encode.pt`): `encoder.*`, a StyleGAN2
under `decoder.*`, and the mean latent. With an exemplar, its styles from `options.exemplar_from` (8) on take the place
of the source's, as pSp's `--latent_mask` does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.encoders.pyramid import SIDE, Kind, PyramidEncoder
from mgi.generators import Generator, GeneratorError, load_file
from mgi.generators.styled import StyleBased
from mgi.images import resize, to_float, to_uint8
from mgi.translators.base import Progress, Result, Warped
from mgi.translators.observing import observe
from mgi.translators.registry import Method
from mgi.translators.released import module_of, read_released

OPTIONS = ("checkpoint", "exemplar_from")
HEADS = "encoder.styles.{}.linear.weight"


class PyramidInversion:
    """A `Translator` that `Inverts`.

    Raises:
        mgi.weights.WeightsMissing: the user has named no checkpoint, or it is not there.
        ConfigError: another option, or a checkpoint of another layout.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self._device = config, device
        kind: Kind = "e4e" if config.translator == "e4e" else "psp"
        given = config.options.model_dump()
        for name in given:
            if name not in OPTIONS:
                raise ConfigError(f"options.{name}: {kind} knows {', '.join(OPTIONS)}; remove it")
        tensors = read_released(kind, "checkpoint", given.get("checkpoint"), "the public code")
        styles = sum(HEADS.format(number) in tensors for number in range(64))
        encoder = {key.removeprefix("encoder."): x for key, x in tensors.items() if key.startswith("encoder.")}
        if not styles or "latent_avg" not in tensors:
            missing = "latent_avg" if styles else HEADS.format(0)
            raise ConfigError(f"options.checkpoint: expected one of {kind}, found no {missing}")
        self.encoder = module_of(kind, "checkpoint", encoder, lambda: PyramidEncoder(styles, kind), device)
        self.mean = tensors["latent_avg"].to(device)
        try:
            self.generator: Generator = load_file(Path(str(given["checkpoint"])).expanduser(), device)
        except GeneratorError as error:
            raise ConfigError(f"options.checkpoint: {error}") from None
        if not isinstance(self.generator, StyleBased) or self.generator.styles != styles:
            has = getattr(self.generator, "styles", "no")
            raise ConfigError(f"options.checkpoint: an encoder of {styles} styles beside a generator of {has}")
        self._from = int(given.get("exemplar_from", 8))

    @property
    def picture_size(self) -> int:
        """Rows of pictures: what both encoders are trained on."""
        return SIDE

    @torch.no_grad()
    def styles_of(self, image: np.ndarray) -> Tensor:
        """A picture uint8 [S, S, 3] -> W+ [1, styles, 512]."""
        found: Tensor = self.encoder(resize(to_float(image, self._device), SIDE)) + self.mean
        return found

    def observe(self, image: np.ndarray, seed: int) -> Warped:
        """A picture as it looks after the configured degradation."""
        return observe(image, seed, self.config.inversion, len(image), self._device)

    def reconstruct(self, image: np.ndarray, seed: int = 0, progress: Progress | None = None) -> Result:
        """The picture of what is observed, at the generator's resolution."""
        seen = self.observe(image, seed)
        return Result(self._image(self.styles_of(seen.warp)), seen.warp, info=seen.info)

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """The source with the exemplar's finer styles."""
        mixed = self.styles_of(source)
        mixed[:, self._from :] = self.styles_of(exemplar)[:, self._from :]
        return Result(self._image(mixed))

    @torch.no_grad()
    def _image(self, styles: Tensor) -> np.ndarray:
        assert isinstance(self.generator, StyleBased)
        found: np.ndarray = to_uint8(self.generator.synthesize(styles).clamp(-1, 1))[0]
        return found


def _method(name: str, summary: str, paper: str) -> Method:
    return Method(name, summary, "mgi.translators.pyramid_encoders:PyramidInversion", paper)


PSP = _method("psp", "styles by pSp's encoder in one pass, from the user's checkpoint", "Richardson et al., CVPR 2021")
E4E = _method("e4e", "styles by e4e's encoder in one pass, from the user's checkpoint", "Tov et al., SIGGRAPH 2021")
