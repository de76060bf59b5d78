"""HFGI: e4e's styles, and what they lost put back into the generator's features (consultation fusion).

`options.checkpoint` is a file of the public code, such as `hfgi.pt`: encoder, StyleGAN2, mean latent, aligner and
consultant. Edited along `options.direction`, the lost detail follows the edited picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.encoders.consultation import ROWS, Consultation
from mgi.encoders.pyramid import SIDE
from mgi.translators.registry import Method
from mgi.translators.released import module_of
from mgi.translators.released_encoders import FURTHER, ReleasedEncoder


class HFGI(ReleasedEncoder):
    """A `Translator` that `Inverts`.

    Raises:
        mgi.weights.WeightsMissing: the user has named no checkpoint, or it is not there.
        ConfigError: another option, a checkpoint of another layout, or a generator without features of 64 rows.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        super().__init__(config, device)
        own = self.further
        if not own:
            raise ConfigError(f"options.checkpoint: expected one of hfgi, found no {FURTHER[0]}*; use method e4e")
        g = self.generator
        fitting = [layer for layer in range(1, g.layers + 1) if g.layer_size(layer) == ROWS]
        if not fitting:
            raise ConfigError(f"options.checkpoint: {g.name} has no features of {ROWS} rows, where HFGI fuses")
        self._layer = fitting[0]
        channels = len(own["residue.condition_scale3.2.bias"]) if "residue.condition_scale3.2.bias" in own else 512
        self.consultation = module_of("hfgi", "checkpoint", own, lambda: Consultation(channels), device)

    def images(self, latents: Tensor, read: Tensor) -> Tensor:
        """The image of the edited latents, with the distortion of the plain ones aligned and fused."""
        plain = _reduced(self.generator_image(latents))
        edited = latents + self.edit
        shown = _reduced(self.generator_image(edited)) if self.edit.any() else plain
        scale, shift = self.consultation(read - plain, shown)
        return self.fused(edited, scale, shift)

    def fused(self, latents: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """[1, 3, R, R] of latents whose features at 64 rows are scaled by 1 + scale and shifted."""
        g, layer = self.generator, self._layer
        packed = g.head(latents, layer)
        features, image = packed[:, : scale.shape[1]], packed[:, scale.shape[1] :]  # StyleGAN2 packs the image so far
        fused = torch.cat([features * (1 + scale) + shift, image], dim=1)
        return g.render(fused, layer, latents[:, -g.tail_styles(layer) :])


def _reduced(images: Tensor) -> Tensor:
    return F.interpolate(images.clamp(-1, 1), size=(SIDE, SIDE), mode="bilinear", align_corners=False)


METHOD = Method(
    name="hfgi",
    summary="e4e's styles with the lost detail put back, from the user's checkpoint",
    translator="mgi.translators.hfgi:HFGI",
    paper="Wang et al., CVPR 2022",
)
