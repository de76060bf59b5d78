"""Compiled passes: traced whole, and equal to the eager ones. Without Inductor, which takes minutes and a compiler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from mgi.config import Inversion
from mgi.generators import load_file
from mgi.inversion.compiled import compiled
from mgi.inversion.objective import Objective
from mgi.inversion.solver import LaneState, Solver
from mgi.inversion.spaces import build_space
from mgi.pairs import Hypothesis

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_a_compiled_lane_goes_the_eager_way(spread: float) -> None:
    generator = load_file(GOLDEN / "pggan_mganprior.pth")
    settings = Inversion(steps=3, perceptual_weight=0.0, fused_spread=spread, hypotheses=("L03N03",))
    built = build_space(generator, settings)
    hypothesis = Hypothesis(3, 3)
    size = generator.resolution
    target = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    counters.clear()
    curves = []
    for images in (None, compiled(built.images, backend="aot_eager")):
        lane = LaneState(hypothesis, 0, built.start(hypothesis, 5))
        solver = Solver(built, Objective(target, settings, None), settings, 1, images=images)
        solver.advance([lane], 3, lambda *_: None)
        curves.append(lane.losses)
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 1, "one shape, compiled once"
