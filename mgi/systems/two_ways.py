"""What CycleGAN, DiscoGAN, UNIT and MUNIT share: from A to B and back, learnt from folders that need not match."""

from __future__ import annotations

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from mgi.systems.adversarial import History
from mgi.systems.base import Batch, Player, Step, System
from mgi.systems.contest import ContestConfig, bounded, fooled, judged


class TwoWaysConfig(ContestConfig):
    """What they all have."""

    history: int = Field(0, ge=0, le=10_000)
    """Generated pictures of earlier steps that discriminators are shown again; 0: none."""
    weight_decay: float = Field(0.0, ge=0)
    """Of all networks."""


class TwoWays(System):
    """Networks that translate are in `makers`; a discriminator for each side judges what the others make.

    A subclass makes `makers`, calls `compete` and writes its own `learn` and `translate`.
    """

    data, kept = "two-folders", ("makers",)
    makers: nn.ModuleDict

    def compete(self, judge_a: nn.Module, judge_b: nn.Module) -> None:
        """For training: discriminators of A and of B, and what they have been shown."""
        config = self._own
        self.judges = nn.ModuleDict({"a": judge_a, "b": judge_b})
        self.shown = nn.ModuleDict({side: History(config.history, (3, config.size, config.size)) for side in "ab"})

    @property
    def _own(self) -> TwoWaysConfig:
        return cast("TwoWaysConfig", self.config)

    def players(self) -> dict[str, Player]:
        """All that make pictures, and both discriminators."""
        decay = self._own.weight_decay
        return {
            "generators": Player([self.makers], weight_decay=decay),
            "discriminators": Player([self.judges], weight_decay=decay),
        }

    def fooled(self, fake_a: Tensor, fake_b: Tensor, weight: float = 1.0) -> dict[str, Tensor]:
        """The adversarial terms of what makes pictures."""
        fakes = {"a": fake_a, "b": fake_b}
        return {f"adversarial_{s}": weight * fooled(self._own, self.judges[s], x) for s, x in fakes.items()}

    def judge(self, batch: Batch, fake_a: Tensor, fake_b: Tensor, step: Step, weight: float = 1.0) -> None:
        """A step of both discriminators."""
        terms = {}
        for side, real, fake in (("a", batch.a, fake_a), ("b", batch.b, fake_b)):
            history = self.shown[side]
            assert isinstance(history, History)
            older = history.exchange(fake, step.random)
            terms[f"discriminator_{side}"] = weight * judged(self._own, self.judges[side], real, older, step.random)
        step.update("discriminators", terms)
        bounded(self._own, self.judges)


def noise(like: Tensor, random: torch.Generator) -> Tensor:
    """N(0, 1) of a tensor's shape."""
    return torch.randn(like.shape, generator=random).to(like)
