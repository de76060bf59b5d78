"""Tiny generators in float64, and inversions of their images, for the tests of the engine."""

from __future__ import annotations

import math
from typing import Any

import torch
from places import GOLDEN
from torch import Tensor

from mgi.config import Inversion
from mgi.generators import load_file
from mgi.generators.styled import Linear
from mgi.generators.stylegan2 import Modulated, StyleGAN2
from mgi.inversion.latents import Latents
from mgi.inversion.objective import Objective
from mgi.inversion.prior import LatentPrior, measure_prior
from mgi.inversion.search import search
from mgi.inversion.solver import LaneState, Solver
from mgi.inversion.spaces import Space, build_space
from mgi.pairs import Hypothesis

HYPOTHESIS = Hypothesis(3, 4)


def tiny_pggan() -> Any:
    """In float64: batched and single kernels round differently, and Adam amplifies what it divides by."""
    return load_file(GOLDEN / "pggan_mganprior.pth").double()  # type: ignore[attr-defined]


class InFloat64(StyleGAN2):
    """Takes z of any precision."""

    def to_w(self, z: Tensor) -> Tensor:
        return super().to_w(z.double())


def tiny_stylegan2() -> StyleGAN2:
    """8 x 8 to 16 x 16, with weights large enough that latents show: the golden ones hardly do."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random) / math.prod(shape[1:]) ** 0.5

    def modulated(outputs: int, kernel: int, size: int | None) -> Modulated:
        noise = None if size is None else draw(size, size) * size
        strength = None if size is None else torch.tensor(0.1)
        style = Linear(draw(8, 6), torch.ones(8))
        return Modulated(draw(outputs, 8, kernel, kernel), style, torch.zeros(outputs), noise, strength)

    mapping = [Linear(2 * draw(6, 6), 0.1 * draw(6)) for _ in range(2)]
    convolutions = [modulated(8, 3, size) for size in (4, 8, 8, 16, 16)]
    to_rgb = [modulated(3, 1, None) for _ in range(3)]
    return InFloat64("tiny", mapping, 3 * draw(1, 8, 4, 4), convolutions, to_rgb, None).double()


def settings(**changes: object) -> Inversion:
    plain = {"steps": 12, "perceptual_weight": 0.0, "learning_rate": 0.05, "alpha_start": "one"}
    return Inversion.model_validate({**plain, **changes})


def targets(generator, count: int) -> Tensor:
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(7)).double()
    with torch.no_grad():
        return generator(z)


def doubled(latents: Latents) -> Latents:
    return {name: t.double() for name, t in latents.items()}


def lanes_of(space: Space, seeds: list[int], hypothesis: Hypothesis = HYPOTHESIS) -> list[LaneState]:
    starts = [doubled(space.start(hypothesis, seed)) for seed in seeds]
    return [LaneState(hypothesis, i, start, seed) for i, (start, seed) in enumerate(zip(starts, seeds, strict=True))]


def invert(generator, warps: Tensor, seeds: list[int], config: Inversion, at_once: int = 8) -> list[LaneState]:
    space = build_space(generator, config)
    lanes = lanes_of(space, seeds)
    search(Solver(space, Objective(warps, config, None), config, 1, at_once), lanes, config)
    return lanes


def prior_of(styled) -> LatentPrior:
    prior = measure_prior(lambda z: styled.to_w(z.double()).float(), styled.z_dim, samples=4000)
    return LatentPrior(prior.mean.double(), prior.basis.double(), prior.scale.double())
