"""The loss that asks for detail: only what falls short counts, band by band and lane by lane."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from tiny import HYPOTHESIS, lanes_of, settings, targets, tiny_pggan

from mgi.inversion.objective import Objective
from mgi.inversion.search import search
from mgi.inversion.solver import Solver
from mgi.inversion.spaces import build_space
from mgi.losses import detail_shortfall
from mgi.metrics.bands import band_deviations


def pictures(count: int, rows: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, rows, rows, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_it_is_what_the_bands_lack() -> None:
    images = pictures(2)
    goals = {32: 1.0, 16: 0.5, 8: 0.01, 64: 9.0}
    for image, found in zip(images.split(1), detail_shortfall(images, goals), strict=True):
        strengths = band_deviations(image)
        lacking = [max(0.0, math.log(goals[rows] / strengths[rows])) ** 2 for rows in (32, 16, 8)]
        assert lacking[0] > 0 and lacking[2] == 0
        assert float(found) == pytest.approx(sum(lacking) / 3, rel=1e-3)


def test_sharp_pictures_and_bands_without_a_goal_cost_nothing() -> None:
    assert not detail_shortfall(pictures(2), {32: 0.1, 16: 0.05}).any()
    assert not detail_shortfall(pictures(2), {64: 9.0}).any()
    assert not detail_shortfall(pictures(2, 7), {7: 9.0}).any()


def test_a_flat_picture_has_finite_gradients() -> None:
    flat = torch.zeros(1, 3, 16, 16, requires_grad=True)
    detail_shortfall(flat, {16: 0.1}).sum().backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()


def test_inversions_become_sharper_by_it() -> None:
    generator = tiny_pggan()
    warps = targets(generator, 1)
    smooth = F.interpolate(F.avg_pool2d(warps, 8), size=warps.shape[-1], mode="bilinear")
    goals = band_deviations(warps[:1])
    shares = []
    for weight in (0.0, 1.0):
        config = settings(steps=40, learning_rate=0.05, detail_weight=weight)
        space = build_space(generator, config)
        (lane,) = lanes_of(space, [3], HYPOTHESIS)
        objective = Objective(smooth, config, None, goals=goals)
        search(Solver(space, objective, config, 1), [lane], config)
        with torch.no_grad():
            image = space.images([lane.best], HYPOTHESIS.composing_layer)
            _, parts = objective(image, [lane.best])
        assert ("detail" in parts) == bool(weight)
        shares.append(float(detail_shortfall(image, goals)))
    assert shares[1] < 0.7 * shares[0]
