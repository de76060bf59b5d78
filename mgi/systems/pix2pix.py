"""pix2pix (Isola et al., CVPR 2017): a picture from its condition, learnt from pairs."""

from __future__ import annotations

import math
from typing import cast

import torch
from pydantic import Field
from torch import Tensor

from mgi.losses import l1
from mgi.systems.base import Batch, Guide, Player, Step, System
from mgi.systems.contest import ContestConfig, bounded, fooled, judged
from mgi.systems.patches import PatchDiscriminator
from mgi.systems.unet import UNet


class Pix2PixConfig(ContestConfig):
    """As published: batches of one, Adam at 0.0002 (0.5, 0.999), jitter, mirrors; the rate falls in the last half."""

    decay_from: float = Field(0.5, ge=0, le=1)
    """Share of the steps after which the learning rate falls linearly, to 0 at the end; 1: never."""
    jitter: bool = True
    """Enlarge by 286 / 256 and cut a random window."""
    l1_weight: float = Field(100.0, ge=0)
    """lambda of equation 4."""


class Pix2Pix(System):
    """U-Net against a PatchGAN that also sees the condition."""

    name, data, kept, config_type = "pix2pix", "pairs", ("generator",), Pix2PixConfig
    has_truth = True

    def __init__(self, config: Pix2PixConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.generator = UNet(config.inputs, 3, config.width, round(math.log2(config.size)))
        if training:
            self.discriminator = PatchDiscriminator(config.inputs + 3, config.width)

    def players(self) -> dict[str, Player]:
        """Generator and discriminator."""
        return {"generator": Player([self.generator]), "discriminator": Player([self.discriminator])}

    def learn(self, batch: Batch, step: Step) -> None:
        """Equations 1, 3 and 4; the discriminator's loss is halved, as in their section 3.3."""
        config = cast("Pix2PixConfig", self.config)
        fake = self.generator(batch.a, step.random)
        real, made = torch.cat([batch.a, batch.b], 1), torch.cat([batch.a, fake], 1)
        loss = judged(config, self.discriminator, real, made, step.random)
        step.update("discriminator", {"discriminator": 0.5 * loss})
        bounded(config, self.discriminator)
        adversarial = fooled(config, self.discriminator, made)
        step.update("generator", {"adversarial": adversarial, "l1": config.l1_weight * l1(fake, batch.b).mean()})

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """With dropout, which is its only noise (section 3.2)."""
        found: Tensor = self.generator(a, random)
        return found
