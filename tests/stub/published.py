"""Published methods cut to a few steps, for tests that check them against their formulas."""

from __future__ import annotations

import torch

from mgi.config import Inversion
from mgi.features import VGG
from mgi.inversion.latents import Latents
from mgi.inversion.objective import Objective
from mgi.inversion.solver import LaneState, Solver
from mgi.inversion.spaces import Space
from mgi.pairs import Hypothesis
from mgi.translators.registry import preset

STEPS = 6
ONE = Hypothesis(1, 1)


def published(method: str, steps: int = STEPS, degradation: str = "none", **changes: object) -> Inversion:
    """The settings of a method as published, cut to a few steps; schedules stretch over them."""
    values = preset(method, degradation, "published")
    return Inversion.model_validate({**values, "degradation": degradation, "steps": steps, **changes})


def run(
    space: Space, objective: Objective, settings: Inversion, start: Latents, hypothesis: Hypothesis = ONE
) -> LaneState:
    """All steps of one lane from a given start."""
    lane = LaneState(hypothesis, 0, start, seed=3)
    Solver(space, objective, settings, down=1).advance([lane], settings.steps, lambda *_: None)
    return lane


def doubled(latents: Latents) -> Latents:
    return {name: tensor.double() for name, tensor in latents.items()}


def random_vgg(convention: str = "torchvision-rgb") -> VGG:
    """A narrow VGG-16 of random weights in float32."""
    random, tensors, inputs = torch.Generator().manual_seed(1), {}, 3
    for block, count in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)):
        for index in range(1, count + 1):
            weight = torch.randn(4 * block, inputs, 3, 3, generator=random) * (2 / (9 * inputs)) ** 0.5
            tensors |= {f"conv{block}_{index}.weight": weight, f"conv{block}_{index}.bias": weight.mean((1, 2, 3))}
            inputs = 4 * block
    return VGG("narrow", tensors, convention)
