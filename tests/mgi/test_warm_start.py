"""Warm starts between the hypotheses of one picture."""

from __future__ import annotations

import pytest
import torch
from tiny import targets, tiny_pggan
from torch import Tensor

from mgi.config import Inversion
from mgi.inversion.latents import pack
from mgi.inversion.objective import Objective
from mgi.inversion.search import search
from mgi.inversion.solver import LaneState, Solver
from mgi.inversion.spaces import build_space
from mgi.pairs import Hypothesis

HYPOTHESES = [Hypothesis(4, 6), Hypothesis(3, 3), Hypothesis(3, 5)]
"""The second is the scout."""


@pytest.fixture(scope="module")
def generator():
    return tiny_pggan()


@pytest.fixture(scope="module")
def pictures(generator) -> Tensor:
    return targets(generator, 3)


def settings(**changes: object) -> Inversion:
    return Inversion.model_validate({"steps": 12, "perceptual_weight": 0.0, "alpha_start": "one", **changes})


def lanes_of(generator, config: Inversion, count: int) -> list[LaneState]:
    space, lanes = build_space(generator, config), []
    for picture in range(count):
        for number, hypothesis in enumerate(HYPOTHESES):
            own = 10 * picture + number
            start = {name: t.double() for name, t in space.start(hypothesis, own).items()}
            lanes.append(LaneState(hypothesis, picture, start, own))
    return lanes


def invert(generator, pictures: Tensor, config: Inversion, at_once: int = 8, share: bool = True) -> list[LaneState]:
    lanes = lanes_of(generator, config, len(pictures))
    space, objective = build_space(generator, config), Objective(pictures, config, None)
    solver = Solver(space, objective, config, 1, at_once, share=share)
    seen: list[tuple[int, int]] = []
    search(solver, lanes, config, progress=lambda done, planned, loss: seen.append((done, planned)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    if not config.rungs:
        assert seen[-1] == (len(lanes) * config.steps,) * 2, "the scout's steps are its own"
    return lanes


def test_others_begin_where_the_scout_stood(generator, pictures: Tensor) -> None:
    config = settings(warm_start=5)
    other, scout, third = invert(generator, pictures[:1], config)
    (_, cold, _) = invert(generator, pictures[:1], settings())
    assert torch.equal(pack(scout.best), pack(cold.best)), "nothing happens to the scout"
    assert [len(lane.losses) for lane in (other, scout, third)] == [12] * 3

    (fresh, stopped, _) = lanes_of(generator, config, 1)
    space = build_space(generator, config)
    Solver(space, Objective(pictures[:1], config, None), config, 1).advance([stopped], 5, lambda *_: None)
    start = space.warmed(fresh.latents, stopped.best)
    assert torch.equal(start["codes"][:3], stopped.best["codes"])
    assert torch.equal(start["codes"][3:], fresh.latents["codes"][3:])
    assert torch.equal(start["alpha"], fresh.latents["alpha"])
    images = space.images([start], fresh.hypothesis.composing_layer)
    loss, _ = Objective(pictures[:1], config, None)(images, [start], [0])
    assert float(loss.detach()) == pytest.approx(other.losses[0], rel=1e-9)


@pytest.mark.slow
def test_it_saves_steps(generator, pictures: Tensor) -> None:
    """After the same number of steps the others are closer to their targets, over several pictures."""

    def reached(warm: int) -> float:
        lanes = invert(generator, pictures, settings(warm_start=warm))
        return sum(lane.best_loss for lane in lanes if lane.hypothesis != HYPOTHESES[1])

    assert reached(6) < 0.9 * reached(0)


@pytest.mark.slow
@pytest.mark.parametrize(("at_once", "share", "exact"), [(1, True, True), (8, True, False), (8, False, True)])
def test_pictures_do_not_meet(generator, pictures: Tensor, at_once: int, share: bool, exact: bool) -> None:
    config = settings(warm_start=6)
    together = invert(generator, pictures, config, at_once, share)
    for picture in range(3):
        own = [lane for lane in lanes_of(generator, config, 3) if lane.picture == picture]
        for lane in own:
            lane.picture = 0
        target = Objective(pictures[picture : picture + 1], config, None)
        search(Solver(build_space(generator, config), target, config, 1, at_once), own, config)
        for alone, lane in zip(own, together[3 * picture : 3 * picture + 3], strict=True):
            if exact:
                assert torch.equal(pack(alone.best), pack(lane.best))
            else:
                torch.testing.assert_close(pack(alone.best), pack(lane.best), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("share", "sizes"), [(True, {3, 6}), (False, {1, 2})])
def test_pictures_share_passes_if_they_may(
    generator, pictures: Tensor, monkeypatch: pytest.MonkeyPatch, share: bool, sizes: set[int]
) -> None:
    seen: set[int] = set()
    step = Solver._step

    def watched(self: Solver, lanes: list[LaneState], layer: int, number: int) -> list[float]:
        seen.add(len(lanes))
        return step(self, lanes, layer, number)

    monkeypatch.setattr(Solver, "_step", watched)
    invert(generator, pictures, settings(), share=share)
    assert seen == sizes


def test_a_lost_scout_leaves_the_others_cold(generator, pictures: Tensor) -> None:
    config = settings(warm_start=4)
    lanes = lanes_of(generator, config, 1)
    lanes[1].latents["codes"][0, 0] = torch.nan
    search(Solver(build_space(generator, config), Objective(pictures[:1], config, None), config, 1), lanes, config)
    cold = invert(generator, pictures[:1], settings())
    assert lanes[1].lost_at == 0
    for lane, twin in zip((lanes[0], lanes[2]), (cold[0], cold[2]), strict=True):
        torch.testing.assert_close(pack(lane.best), pack(twin.best), atol=1e-6, rtol=1e-6)


def test_the_scout_stops_at_the_first_rung(generator, pictures: Tensor) -> None:
    lanes = invert(generator, pictures[:1], settings(warm_start=9, rungs=["4:1"], rank_by="loss"))
    assert sorted(len(lane.losses) for lane in lanes) == [4, 4, 12]


def test_single_codes_keep_their_own_start(generator) -> None:
    space = build_space(generator, settings(space="z"))
    own, other = space.start(Hypothesis(1, 1), 1), space.start(Hypothesis(1, 1), 2)
    assert torch.equal(space.warmed(own, other)["codes"], own["codes"])
