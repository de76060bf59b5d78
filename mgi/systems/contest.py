"""One round between what a generator makes and a discriminator, under any objective of the tutorial by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mgi.systems.adversarial import SMOOTH, Logits, fool, judge
from mgi.systems.base import SystemConfig, frozen
from mgi.training.config import ObjectiveName
from mgi.training.objectives import OBJECTIVES, gradient_penalty

Judge = Callable[[Tensor], Logits]
WHOLE = {"least-squares": 2.0}
"""What undoes the half of Mao et al., which none of the systems here has in its generator's loss."""


class ContestConfig(SystemConfig):
    """Settings of systems that leave the choice of the objective to the user."""

    objective: ObjectiveName = "non-saturating"
    """What discriminators and generators minimise (`mgi.training.objectives`)."""
    smoothing: float = Field(0.0, ge=0, lt=0.5)
    """Real pictures count as 1 - this for the discriminators (one-sided label smoothing)."""

    @model_validator(mode="after")
    def _targets(self) -> Self:
        if self.smoothing and self.objective not in SMOOTH:
            raise ValueError(f"smoothing: expected an objective with targets ({', '.join(SMOOTH)})")
        return self


def judged(config: ContestConfig, discriminator: Judge, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
    """The discriminator's loss, the mean over its maps; with the gradient's penalty where the objective has one.

    Args:
        discriminator: pictures -> logits.
        real, fake: pictures [B, C, S, S]; no gradients flow into them.
        random: draws where between them the gradient is measured.
    """
    fake = fake.detach()
    loss = WHOLE.get(config.objective, 1.0) * judge(
        config.objective, discriminator(real), discriminator(fake), config.smoothing
    )
    if weight := OBJECTIVES[config.objective].gradient_penalty:
        mix = torch.rand(len(real), generator=random).to(real)
        loss = loss + weight * gradient_penalty(lambda x: _mean(discriminator(x)), real, fake, mix)
    return loss


def fooled(config: ContestConfig, discriminator: nn.Module, fake: Tensor) -> Tensor:
    """The generator's loss, the mean over the discriminator's maps; no gradients of the discriminator's weights."""
    with frozen(discriminator):
        return WHOLE.get(config.objective, 1.0) * fool(config.objective, discriminator(fake))


@torch.no_grad()
def bounded(config: ContestConfig, *discriminators: nn.Module) -> None:
    """After a step of theirs: weights clipped where the objective asks for it (WGAN)."""
    if bound := OBJECTIVES[config.objective].clip:
        for discriminator in discriminators:
            for parameter in discriminator.parameters():
                parameter.clamp_(-bound, bound)


def _mean(logits: Logits) -> Tensor:
    """One number a picture, [B]."""
    maps = [logits] if isinstance(logits, Tensor) else logits
    return torch.stack([each.flatten(1).mean(1) for each in maps]).mean(0)
