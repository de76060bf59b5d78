"""Encoders that were trained here: a picture's latents in one pass, whole or damaged; some steps on top if asked for.

`options.encoder` is MODEL/encoder.safetensors of `mgi train encoder`; without it the one that ships for the generator.
`options.refine` steps of Adam then move the coordinates under the profile's loss, through the known degradation.
"""

from __future__ import annotations

import contextlib

from mgi.config import ConfigError, RunConfig
from mgi.generators import Generator, is_styled
from mgi.translators.encoders import encoder_name, load_encoder
from mgi.translators.needs import Roles, loss_networks
from mgi.translators.one_pass import COMMON, OnePass
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.weights import WeightsMissing, load_generator

OPTIONS = ("encoder", *COMMON)
KEY = "options.encoder"


class TrainedEncoder(OnePass):
    """`encoder` or `uda-inversion`, whichever the configuration names.

    Raises:
        mgi.weights.WeightsMissing: no encoder is named, and none ships for the generator.
        ConfigError: another option, an encoder of another generator, or one without a target domain for uda-inversion.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        kind = config.translator
        given = known_options(config, kind, OPTIONS)
        encoder = load_encoder(config, kind, str(given.get("encoder", "")), KEY, device)
        if kind == UDA.name and not encoder.facts.target:
            raise ConfigError(f"{KEY}: expected an encoder that was adapted (--adapt), found a plain one; use encoder")
        generator = load_generator(config.generator, device)
        first = int(given.get("exemplar_from", first_fine(generator)))
        super().__init__(config, device, generator, encoder, encoder.codes, encoder.facts.size, first)


def first_fine(generator: Generator) -> int:
    """The first style after the last layer with 32 rows, or a quarter of the image's if that is less."""
    rows = min(32, generator.resolution // 4)
    coarse = [layer for layer in range(1, generator.layers + 1) if generator.layer_size(layer) <= rows]
    last = max(coarse, default=1)
    return generator.styles - generator.tail_styles(last) if is_styled(generator) else 0


def _networks(config: RunConfig) -> Roles:
    given = config.options.model_dump()
    roles: Roles = [("generator", config.generator)]
    with contextlib.suppress(WeightsMissing):  # said in one line when it is loaded
        roles.append(("encoder", encoder_name(config, config.translator, str(given.get("encoder", "")), KEY)))
    return [*roles, *(loss_networks(config) if given.get("refine") else [])]


ENCODER = Method(
    name="encoder",
    summary="latents by a trained encoder in one pass, refined by some steps if asked for",
    translator="mgi.translators.trained_encoder:TrainedEncoder",
    paper="Richardson et al., CVPR 2021; Tov et al., SIGGRAPH 2021",
    needs=_networks,
)
UDA = Method(
    name="uda-inversion",
    summary="latents of damaged pictures in one pass, by an encoder adapted without their originals",
    translator="mgi.translators.trained_encoder:TrainedEncoder",
    paper="UDA-inversion",
    needs=_networks,
)
