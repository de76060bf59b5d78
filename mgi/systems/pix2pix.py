"""pix2pix (Isola et al., CVPR 2017): a picture from its condition, learnt from pairs."""

from __future__ import annotations

import math
from typing import cast

import torch
from pydantic import Field
from torch import Tensor

from mgi.losses import l1
from mgi.systems.adversarial import fool, judge
from mgi.systems.base import Batch, Guide, Player, Step, System, SystemConfig, frozen
from mgi.systems.patches import PatchDiscriminator
from mgi.systems.unet import UNet


class Pix2PixConfig(SystemConfig):
    """As published: batches of one, Adam at 0.0002 (0.5, 0.999), jitter, mirrors; the rate falls in the last half."""

    decay_from: float = Field(0.5, ge=0, le=1)
    """Share of the steps after which the learning rate falls linearly, to 0 at the end; 1: never."""
    jitter: bool = True
    """Enlarge by 286 / 256 and cut a random window."""
    l1_weight: float = Field(100.0, ge=0)
    """lambda of equation 4."""
    smoothing: float = Field(0.0, ge=0, lt=0.5)
    """Real pictures count as 1 - this for the discriminator (one-sided label smoothing)."""


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
        real_logits = self.discriminator(torch.cat([batch.a, batch.b], 1))
        fake_logits = self.discriminator(torch.cat([batch.a, fake.detach()], 1))
        judged = judge("non-saturating", real_logits, fake_logits, config.smoothing)
        step.update("discriminator", {"discriminator": 0.5 * judged})
        with frozen(self.discriminator):
            fooled = fool("non-saturating", self.discriminator(torch.cat([batch.a, fake], 1)))
        step.update("generator", {"adversarial": fooled, "l1": config.l1_weight * l1(fake, batch.b).mean()})

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """With dropout, which is its only noise (section 3.2)."""
        found: Tensor = self.generator(a, random)
        return found
