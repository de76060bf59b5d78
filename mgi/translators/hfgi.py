"""HFGI: an encoder's styles, and what they lost put back into the generator's features (consultation fusion).

Either `options.checkpoint`, a file of the public code such as `hfgi.pt`: encoder, StyleGAN2, mean latent, aligner and
consultant; or what `mgi train encoder --arch hfgi` made for an encoder of ours (`options.encoder`, `options.fusion`;
without them those that ship). Edited along `options.direction`, the lost detail follows the edited picture.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.encoders.codes import render
from mgi.encoders.consultation import ROWS, Consultation
from mgi.encoders.fusion import fused, fusing_layer
from mgi.encoders.pyramid import SIDE
from mgi.images import resize
from mgi.translators.encoders import encoder_name, fusion_name, load_encoder, load_fusion
from mgi.translators.needs import Roles, loss_networks
from mgi.translators.one_pass import COMMON, OnePass
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.translators.released import module_of
from mgi.translators.released_encoders import FURTHER, released
from mgi.translators.trained_encoder import first_fine
from mgi.weights import WeightsMissing, load_generator

OPTIONS = ("encoder", "fusion", *COMMON)
ENCODER_KEY, FUSION_KEY = "options.encoder", "options.fusion"


class HFGI(OnePass):
    """A `Translator` that `Inverts`.

    Raises:
        mgi.weights.WeightsMissing: nothing ships for the generator and the user has named none, or it is not there.
        ConfigError: another option, a checkpoint of another layout, or a generator without features of 64 rows.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        if config.options.model_dump().get("checkpoint"):
            self._of_checkpoint(config, device)
        else:
            self._trained_here(config, device)
        layer = fusing_layer(self.generator)
        if layer is None:
            raise ConfigError(
                f"hfgi: {self.generator.name} has no features of {ROWS} rows, where HFGI fuses; take another generator"
            )
        self._layer = layer

    def _of_checkpoint(self, config: RunConfig, device: str) -> None:
        read = released(config, device)
        if not read.further:
            raise ConfigError(f"options.checkpoint: expected one of hfgi, found no {FURTHER[0]}*; use method e4e")
        super().__init__(config, device, read.generator, read.encode, read.codes, SIDE, read.first)
        own = read.further
        channels = len(own["residue.condition_scale3.2.bias"]) if "residue.condition_scale3.2.bias" in own else 512
        self.consultation = module_of("hfgi", "checkpoint", own, lambda: Consultation(channels), device)
        self._shown: Callable[[Tensor], Tensor] = lambda latents: _reduced(self.generator_image(latents))

    def _trained_here(self, config: RunConfig, device: str) -> None:
        given = known_options(config, METHOD.name, OPTIONS)
        encoder = load_encoder(config, METHOD.name, str(given.get("encoder", "")), ENCODER_KEY, device)
        name = encoder_name(config, METHOD.name, str(given.get("encoder", "")), ENCODER_KEY)
        consultation = load_fusion(config, str(given.get("fusion", "")), FUSION_KEY, name, device)
        generator = load_generator(config.generator, device)
        first = int(given.get("exemplar_from", first_fine(generator)))
        rows = encoder.facts.size
        super().__init__(
            config, device, generator, lambda read: encoder(resize(read, rows)), encoder.codes, SIDE, first
        )
        self.consultation = consultation
        self._shown = lambda latents: resize(render(generator, latents, SIDE), SIDE).clamp(-1, 1)

    def images(self, latents: Tensor, read: Tensor) -> Tensor:
        """The image of the edited latents, with the distortion of the plain ones aligned and fused."""
        plain = self._shown(latents)
        edited = latents + self.edit
        shown = self._shown(edited) if self.edit.any() else plain
        scale, shift = self.consultation(read - plain, shown)
        return self.fused(edited, scale, shift)

    def fused(self, latents: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """[1, 3, R, R] of latents whose features at 64 rows are scaled by 1 + scale and shifted."""
        return fused(self.generator, latents, self._layer, scale, shift, self.generator.resolution)


def _reduced(images: Tensor) -> Tensor:
    return F.interpolate(images.clamp(-1, 1), size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def _networks(config: RunConfig) -> Roles:
    given = config.options.model_dump()
    if given.get("checkpoint"):
        return []
    roles: Roles = [("generator", config.generator)]
    with contextlib.suppress(WeightsMissing):  # said in one line when it is loaded
        roles.append(("encoder", encoder_name(config, METHOD.name, str(given.get("encoder", "")), ENCODER_KEY)))
        roles.append(("fusion", fusion_name(config, str(given.get("fusion", "")), FUSION_KEY)))
    return [*roles, *(loss_networks(config) if given.get("refine") else [])]


METHOD = Method(
    name="hfgi",
    summary="an encoder's styles with the lost detail put back",
    translator="mgi.translators.hfgi:HFGI",
    paper="Wang et al., CVPR 2022",
    needs=_networks,
    brings=(FUSION_KEY,),
)
