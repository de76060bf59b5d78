"""CycleGAN (Zhu et al., ICCV 2017): there and back again, so that no pairs are needed."""

from __future__ import annotations

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from mgi.losses import l1
from mgi.systems.base import Batch, Guide, Step
from mgi.systems.patches import PatchDiscriminator
from mgi.systems.resnets import ResNetGenerator
from mgi.systems.two_ways import TwoWays, TwoWaysConfig
from mgi.training.config import ObjectiveName

LARGE = 256
"""From so many pixels on there are nine blocks, below six (their section 7.2)."""


class CycleGANConfig(TwoWaysConfig):
    """As published: batches of one, Adam at 0.0002 (0.5, 0.999), jitter, mirrors; the rate falls in the last half."""

    objective: ObjectiveName = "least-squares"
    """What discriminators and generators minimise (`mgi.training.objectives`)."""
    decay_from: float = Field(0.5, ge=0, le=1)
    """Share of the steps after which the learning rate falls linearly, to 0 at the end; 1: never."""
    jitter: bool = True
    """Enlarge by 286 / 256 and cut a random window."""
    history: int = Field(50, ge=0, le=10_000)
    """Generated pictures of earlier steps that discriminators are shown again; 0: none."""
    blocks: int = Field(0, ge=0, le=32)
    """Residual blocks; 0: nine from 256 pixels on, six below."""
    cycle_weight: float = Field(10.0, ge=0)
    """lambda of equation 3."""
    identity_weight: float = Field(0.5, ge=0)
    """Of what is of the other side already and should stay as it is (their section 5.2), in units of `cycle_weight`;
    0: none, for sides of different colours."""


class CycleGAN(TwoWays):
    """Two ResNet generators against two PatchGANs with instance normalisation."""

    name, config_type = "cyclegan", CycleGANConfig

    def __init__(self, config: CycleGANConfig, training: bool = True) -> None:
        super().__init__(config, training)
        blocks = config.blocks or (9 if config.size >= LARGE else 6)
        self.makers = nn.ModuleDict({side: ResNetGenerator(3, 3, config.width, blocks) for side in "ab"})
        if training:
            self.compete(*(PatchDiscriminator(3, config.width, norm="instance") for _ in "ab"))

    def learn(self, batch: Batch, step: Step) -> None:
        """Equations 1 to 3 with squares; generators first, discriminators at half their loss, as the public code."""
        config = cast("CycleGANConfig", self.config)
        to_a, to_b = self.makers["a"], self.makers["b"]
        fake_a, fake_b = to_a(batch.b), to_b(batch.a)
        terms = self.fooled(fake_a, fake_b)
        terms["cycle_a"] = config.cycle_weight * l1(to_a(fake_b), batch.a).mean()
        terms["cycle_b"] = config.cycle_weight * l1(to_b(fake_a), batch.b).mean()
        if weight := config.cycle_weight * config.identity_weight:
            terms["identity_a"] = weight * l1(to_a(batch.a), batch.a).mean()
            terms["identity_b"] = weight * l1(to_b(batch.b), batch.b).mean()
        step.update("generators", terms)
        self.judge(batch, fake_a, fake_b, step, weight=0.5)

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """Into B, or backwards into A; nothing is random."""
        found: Tensor = self.makers["a" if guide.backwards else "b"](a)
        return found
