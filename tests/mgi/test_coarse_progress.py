"""Where the coarse head ends is told while it works, and kept with the hypothesis."""

from __future__ import annotations

import pytest
from tiny import HYPOTHESIS, lanes_of, prior_of, settings, targets, tiny_stylegan2

from mgi.inversion.objective import Objective
from mgi.inversion.search import search
from mgi.inversion.solver import Solver
from mgi.inversion.spaces import build_space
from mgi.progress import CoarseLoss


def test_losses_of_the_coarse_head_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tiny_stylegan2()
    config = settings(steps=6, coarse_steps=4, start="mean")
    space = build_space(generator, config, prior_of(generator))
    monkeypatch.setattr(type(space), "has_coarse", lambda self, layer: True)
    (lane,) = lanes_of(space, [1], HYPOTHESIS)
    solver = Solver(space, Objective(targets(generator, 1), config, None), config, 1)
    told: list[float] = []
    search(solver, [lane], config, progress=lambda done, planned, loss: told.append(loss))
    assert [isinstance(loss, CoarseLoss) for loss in told] == [True] * 4 + [False] * 2
    assert told == pytest.approx(lane.losses) and solver.coarse_steps(HYPOTHESIS.composing_layer) == 4
