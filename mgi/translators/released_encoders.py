"""pSp, e4e and E2Style: a picture's styles in one pass of an encoder, from a released checkpoint of the user's.

`options.checkpoint` is a file of the public code, such as `psp_ffhq_encode.pt` or `e4e_ffhq_encode.pt`: the encoder, a
StyleGAN2 under `decoder.*`, and the mean latent. With an exemplar, its styles from `options.exemplar_from` (8) on take
the place of the source's, as pSp's `--latent_mask` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mgi.config import ConfigError, RunConfig
from mgi.encoders.codes import Codes
from mgi.encoders.pyramid import SIDE, Kind, PyramidEncoder
from mgi.encoders.stages import StagedEncoder
from mgi.generators import GeneratorError, load_file
from mgi.generators.styled import StyleBased
from mgi.inversion.spaces.base import statistics_of_w
from mgi.translators.one_pass import COMMON, Encode, OnePass
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.translators.released import module_of, read_released

OPTIONS = ("checkpoint", *COMMON)
FURTHER = ("grid_align.", "residue.")
"""Parts of HFGI's checkpoints that the others lack."""
_HEADS = "encoder.styles.{}.linear.weight"


class ReleasedEncoder(OnePass):
    """pSp, e4e or E2Style, whichever the configuration names.

    Raises:
        mgi.weights.WeightsMissing: the user has named no checkpoint, or it is not there.
        ConfigError: another option, or a checkpoint of another layout.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        read = released(config, device)
        self.encoder, self.mean = read.encoder, read.mean
        super().__init__(config, device, read.generator, read.encode, read.codes, SIDE, read.first)


@dataclass(frozen=True)
class Released:
    """What a checkpoint holds; `further` are tensors of HFGI's parts, `first` is where an exemplar's styles begin."""

    generator: StyleBased
    encoder: nn.Module
    encode: Encode
    mean: Tensor
    codes: Codes
    further: dict[str, Tensor]
    first: int


def released(config: RunConfig, device: str) -> Released:
    """What the checkpoint that the configuration names holds.

    Raises:
        mgi.weights.WeightsMissing: the user has named no checkpoint, or it is not there.
        ConfigError: another option, or a checkpoint of another layout.
    """
    kind = config.translator
    given = known_options(config, kind, OPTIONS)
    tensors = read_released(kind, "checkpoint", given.get("checkpoint"), "the public code")
    further = {key: x for key, x in tensors.items() if key.startswith(FURTHER)}
    if "latent_avg" not in tensors:
        raise ConfigError(f"options.checkpoint: expected one of {kind}, found no latent_avg")
    try:
        generator = load_file(Path(str(given["checkpoint"])).expanduser(), device)
    except GeneratorError as error:
        raise ConfigError(f"options.checkpoint: {error}") from None
    if not isinstance(generator, StyleBased):
        raise ConfigError(f"options.checkpoint: expected a generator with styles, found {type(generator).__name__}")
    mean = tensors["latent_avg"].to(device)
    read = _staged if kind == "e2style" else _pyramid
    encoder, encode, styles = read(kind, tensors, mean, generator, device)
    if generator.styles != styles:
        raise ConfigError(f"options.checkpoint: an encoder of {styles} styles beside a generator of {generator.styles}")
    spread = statistics_of_w(generator, device)[1] / generator.z_dim**0.5 if given.get("refine") else 1.0
    size = generator.z_dim
    codes = Codes(torch.zeros(size), torch.eye(size), spread, styles)
    return Released(generator, encoder, encode, mean, codes, further, int(given.get("exemplar_from", 8)))


Read = tuple[nn.Module, Encode, int]
"""The encoder, what it says of pictures, and how many styles that is."""


def _pyramid(kind: str, tensors: Mapping[str, Tensor], mean: Tensor, generator: StyleBased, device: str) -> Read:
    styles = sum(_HEADS.format(number) in tensors for number in range(64))
    if not styles:
        raise ConfigError(f"options.checkpoint: expected one of {kind}, found no {_HEADS.format(0)}")
    own = {key.removeprefix("encoder."): x for key, x in tensors.items() if key.startswith("encoder.")}
    which: Kind = "psp" if kind == "psp" else "e4e"
    encoder = module_of(kind, "checkpoint", own, lambda: PyramidEncoder(styles, which), device)
    return encoder, lambda images: encoder(images) + mean, styles


def _staged(kind: str, tensors: Mapping[str, Tensor], mean: Tensor, generator: StyleBased, device: str) -> Read:
    prefixes = ("encoder_firststage.", "encoder_refinestage_list.")
    own = {key: x for key, x in tensors.items() if key.startswith(prefixes)}
    encoder = module_of(kind, "checkpoint", own, lambda: StagedEncoder.of(tensors), device)
    return encoder, lambda images: encoder(images, mean, generator.synthesize), encoder.styles


def _method(name: str, whose: str, paper: str) -> Method:
    summary = f"styles by {whose} encoder in one pass, from the user's checkpoint"
    target = "mgi.translators.released_encoders:ReleasedEncoder"
    return Method(name, summary, target, paper, brings=("options.checkpoint",))


PSP = _method("psp", "pSp's", "Richardson et al., CVPR 2021")
E4E = _method("e4e", "e4e's", "Tov et al., SIGGRAPH 2021")
E2STYLE = _method("e2style", "E2Style's", "Wei et al., TIP 2022")
