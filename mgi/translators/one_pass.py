"""pSp, e4e and E2Style: a picture's styles in one pass of an encoder, from a released checkpoint of the user's.

`options.checkpoint` is a file of the public code, such as `psp_ffhq_encode.pt` or `e4e_ffhq_encode.pt`: the encoder, a
StyleGAN2 under `decoder.*`, and the mean latent. With an exemplar, its styles from `options.exemplar_from` (8) on take
the place of the source's, as pSp's `--latent_mask` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mgi.config import ConfigError, RunConfig
from mgi.encoders.pyramid import SIDE, Kind, PyramidEncoder
from mgi.encoders.stages import StagedEncoder
from mgi.generators import GeneratorError, load_file
from mgi.generators.styled import StyleBased
from mgi.images import resize, to_float, to_uint8
from mgi.translators.base import Progress, Result, Warped
from mgi.translators.observing import observe
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.translators.released import module_of, read_released

OPTIONS = ("checkpoint", "exemplar_from")
_HEADS = "encoder.styles.{}.linear.weight"
Encode = Callable[[Tensor], Tensor]
"""Pictures [B, 3, 256, 256] in [-1, 1] -> W+ [B, styles, D]."""


class OnePass:
    """A `Translator` that `Inverts`.

    Raises:
        mgi.weights.WeightsMissing: the user has named no checkpoint, or it is not there.
        ConfigError: another option, or a checkpoint of another layout.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self._device, kind = config, device, config.translator
        given = known_options(config, kind, OPTIONS)
        tensors = read_released(kind, "checkpoint", given.get("checkpoint"), "the public code")
        if "latent_avg" not in tensors:
            raise ConfigError(f"options.checkpoint: expected one of {kind}, found no latent_avg")
        try:
            generator = load_file(Path(str(given["checkpoint"])).expanduser(), device)
        except GeneratorError as error:
            raise ConfigError(f"options.checkpoint: {error}") from None
        if not isinstance(generator, StyleBased):
            raise ConfigError(f"options.checkpoint: expected a generator with styles, found {type(generator).__name__}")
        self.generator: StyleBased = generator
        self.mean = tensors["latent_avg"].to(device)
        self.encoder, self.encode, styles = (_staged if kind == "e2style" else _pyramid)(self, kind, tensors)
        if generator.styles != styles:
            raise ConfigError(
                f"options.checkpoint: an encoder of {styles} styles beside a generator of {generator.styles}"
            )
        self._from = int(given.get("exemplar_from", 8))

    @property
    def picture_size(self) -> int:
        """Rows of pictures: what the encoders are trained on."""
        return SIDE

    @torch.no_grad()
    def styles_of(self, image: np.ndarray) -> Tensor:
        """A picture uint8 [S, S, 3] -> W+ [1, styles, D]."""
        return self.encode(resize(to_float(image, self._device), SIDE))

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
        found: np.ndarray = to_uint8(self.generator.synthesize(styles).clamp(-1, 1))[0]
        return found

    @property
    def device(self) -> str:
        """Of its networks."""
        return self._device


def _pyramid(whole: OnePass, kind: str, tensors: Mapping[str, Tensor]) -> tuple[nn.Module, Encode, int]:
    styles = sum(_HEADS.format(number) in tensors for number in range(64))
    if not styles:
        raise ConfigError(f"options.checkpoint: expected one of {kind}, found no {_HEADS.format(0)}")
    own = {key.removeprefix("encoder."): x for key, x in tensors.items() if key.startswith("encoder.")}
    which: Kind = "e4e" if kind == "e4e" else "psp"
    encoder = module_of(kind, "checkpoint", own, lambda: PyramidEncoder(styles, which), whole.device)
    return encoder, lambda images: encoder(images) + whole.mean, styles


def _staged(whole: OnePass, kind: str, tensors: Mapping[str, Tensor]) -> tuple[nn.Module, Encode, int]:
    prefixes = ("encoder_firststage.", "encoder_refinestage_list.")
    own = {key: x for key, x in tensors.items() if key.startswith(prefixes)}
    encoder = module_of(kind, "checkpoint", own, lambda: StagedEncoder.of(tensors), whole.device)
    return encoder, lambda images: encoder(images, whole.mean, whole.generator.synthesize), encoder.styles


def _method(name: str, whose: str, paper: str) -> Method:
    summary = f"styles by {whose} encoder in one pass, from the user's checkpoint"
    return Method(name, summary, "mgi.translators.one_pass:OnePass", paper)


PSP = _method("psp", "pSp's", "Richardson et al., CVPR 2021")
E4E = _method("e4e", "e4e's", "Tov et al., SIGGRAPH 2021")
E2STYLE = _method("e2style", "E2Style's", "Wei et al., TIP 2022")
