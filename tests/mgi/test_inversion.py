"""Objective, solver and search on tiny generators: lanes are independent, the best is kept, NaN stays in its lane."""

from __future__ import annotations

import pytest
import torch
from tiny import HYPOTHESIS, doubled, invert, settings, targets, tiny_pggan
from torch import Tensor

from mgi.inversion.latents import Latents, pack
from mgi.inversion.objective import Objective
from mgi.inversion.search import search
from mgi.inversion.solver import LaneState, Solver, schedule_factor, snapshot_steps
from mgi.inversion.spaces import MultiCode, build_space
from mgi.pairs import Hypothesis, Pair, lane_seed


@pytest.fixture(scope="module")
def generator():
    return tiny_pggan()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_lane_does_not_depend_on_its_batch(generator, optimizer: str) -> None:
    config, warps = settings(optimizer=optimizer), targets(generator, 3)
    together = invert(generator, warps, [1, 2, 3], config)
    for number, seed in enumerate([1, 2, 3]):
        (alone,) = invert(generator, warps[number : number + 1], [seed], config)
        torch.testing.assert_close(pack(alone.best), pack(together[number].best), atol=1e-6, rtol=1e-6)
        assert alone.losses == pytest.approx(together[number].losses, abs=1e-9)


def test_one_lane_at_a_time_gives_the_bits_of_a_lane_alone(generator) -> None:
    config, warps = settings(), targets(generator, 3)
    together = invert(generator, warps, [1, 2, 3], config, at_once=1)
    for number, seed in enumerate([1, 2, 3]):
        (alone,) = invert(generator, warps[number : number + 1], [seed], config, at_once=1)
        assert torch.equal(pack(alone.best), pack(together[number].best))


def test_lanes_of_unequal_codes_share_a_pass(generator) -> None:
    config, warps = settings(), targets(generator, 1)
    space = build_space(generator, config)
    hypotheses = [Hypothesis(3, 2), Hypothesis(3, 5), Hypothesis(3, 3)]
    lanes = [LaneState(h, 0, doubled(space.start(h, 1)), 1) for h in hypotheses]
    search(Solver(space, Objective(warps, config, None), config, 1, 8), lanes, config)
    for lane in lanes:
        alone = LaneState(lane.hypothesis, 0, doubled(space.start(lane.hypothesis, 1)), 1)
        search(Solver(space, Objective(warps, config, None), config, 1), [alone], config)
        torch.testing.assert_close(pack(alone.best), pack(lane.best), atol=1e-6, rtol=1e-6)


def test_the_same_seed_gives_the_same_bits(generator) -> None:
    config, warps = settings(), targets(generator, 1)
    first, second, other = (pack(invert(generator, warps, [seed], config)[0].best) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_loss_falls_and_the_best_latents_are_kept(generator) -> None:
    config, warps = settings(steps=40), targets(generator, 2)
    space = build_space(generator, config)
    for lane in invert(generator, warps, [1, 2], config):
        assert lane.best_loss < 0.7 * lane.losses[0]
        assert lane.best_loss == min(lane.losses)
        with torch.no_grad():
            images = space.images([lane.best], HYPOTHESIS.composing_layer)
        reached, _ = Objective(warps, config, None)(images, [lane.best], [lane.picture])
        assert float(reached) == pytest.approx(lane.best_loss, rel=1e-5)


def test_a_diverging_lane_keeps_its_best_and_leaves_the_others_alone(generator) -> None:
    config, warps = settings(steps=8), targets(generator, 2)
    (alone,) = invert(generator, warps[1:], [2], config)
    poisoned = warps.clone()
    poisoned[0, 0, 0, 0] = torch.nan
    lost, sound = invert(generator, poisoned, [1, 2], config)
    assert (lost.lost_at, sound.lost_at) == (0, None)
    assert lost.best_step == -1
    torch.testing.assert_close(pack(sound.best), pack(alone.best), atol=1e-6, rtol=1e-6)
    assert len(sound.losses) == 8 and len(lost.losses) == 1


def test_short_memory_halves_the_batch_and_goes_on(generator, monkeypatch: pytest.MonkeyPatch) -> None:
    config, warps = settings(steps=4), targets(generator, 5)
    plain = invert(generator, warps, [1, 2, 3, 4, 5], config, at_once=1)
    passes: list[int] = []
    images = MultiCode.images

    def limited(self: MultiCode, lanes: list[Latents], *more: object, **options: object) -> Tensor:
        if len(lanes) > 2:
            raise torch.OutOfMemoryError("out of memory")
        passes.append(len(lanes))
        return images(self, lanes, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(MultiCode, "images", limited)
    halved = invert(generator, warps, [1, 2, 3, 4, 5], config)
    assert max(passes) == 2
    for one, other in zip(plain, halved, strict=True):
        torch.testing.assert_close(pack(one.best), pack(other.best), atol=1e-6, rtol=1e-6)
    monkeypatch.setattr(MultiCode, "images", lambda *_a, **_k: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError):
        invert(generator, warps[:1], [1], config)


def test_rungs_keep_the_best_and_what_they_keep_is_unchanged(generator) -> None:
    config, warps = settings(steps=20, rungs=["4:2", "9:1"], rank_by="loss"), targets(generator, 1)
    space = build_space(generator, config)
    solver = Solver(space, Objective(warps, config, None), config, 1)
    lanes = [LaneState(HYPOTHESIS, 0, doubled(space.start(HYPOTHESIS, seed)), seed) for seed in range(5)]
    seen: list[tuple[int, int]] = []
    search(solver, lanes, config, progress=lambda done, planned, loss: seen.append((done, planned)))
    assert sorted(len(lane.losses) for lane in lanes) == [4, 4, 4, 9, 20]
    assert [lane.finished for lane in lanes].count(True) == 1
    assert seen[-1] == (4 * 5 + 5 * 2 + 11, 4 * 5 + 5 * 2 + 11)
    winner = next(lane for lane in lanes if lane.finished)
    assert min(winner.losses[:4]) <= sorted(min(lane.losses[:4]) for lane in lanes)[1]
    (alone,) = invert(generator, warps, [winner.seed], settings(steps=20), at_once=1)
    assert torch.equal(pack(alone.best), pack(winner.best))


def test_rungs_rank_by_score_and_by_both(generator) -> None:
    warps = targets(generator, 1)

    def kept(rank_by: str) -> int:
        config = settings(steps=6, rungs=["3:1"], rank_by=rank_by)
        space = build_space(generator, config)
        lanes = [LaneState(HYPOTHESIS, 0, doubled(space.start(HYPOTHESIS, seed)), seed) for seed in range(4)]

        def score(states):  # the worst by loss scores best, its neighbour second
            order = sorted(states, key=lambda lane: -lane.best_loss)
            return [float(order.index(lane)) for lane in states]

        search(Solver(space, Objective(warps, config, None), config, 1), lanes, config, score)
        by_loss = sorted(lanes, key=lambda lane: min(lane.losses[:3]))
        return next(place for place, lane in enumerate(by_loss) if lane.finished)

    assert kept("loss") == 0
    assert kept("score") == 3
    assert kept("both") == 0  # all sums are equal: the smaller loss decides


def test_a_lane_that_stands_still_ends(generator) -> None:
    config, warps = settings(steps=200, plateau=5, learning_rate=1e-7), targets(generator, 1)
    (lane,) = invert(generator, warps, [1], config)
    assert lane.ended and lane.finished
    assert len(lane.losses) == 6


def test_bad_rungs_are_refused() -> None:
    for rungs in (["8"], ["8:x"], ["8:4", "8:2"], ["8:4", "16:4"], ["0:3"]):
        with pytest.raises(ValueError, match="expected"):
            settings(rungs=rungs)


def test_schedules() -> None:
    def factors(schedule: str) -> list[float]:
        config = settings(schedule=schedule, steps=100)
        return [schedule_factor(config, step) for step in range(100)]

    assert set(factors("constant")) == {1.0}
    ramp, cosine, cycle = factors("ramp"), factors("cosine"), factors("cycle")
    assert ramp[0] == 0.2 and ramp[50] == 1.0 and ramp[99] == pytest.approx(0.03)
    assert cosine[0] == 0 and cosine[50] == 1.0 and cosine[99] < 0.01
    assert cycle[45] == pytest.approx(1.0) and cycle[0] == pytest.approx(0.1) and cycle[99] < 0.02


def test_snapshots_are_spread_over_the_way(generator) -> None:
    config, warps = settings(steps=10, snapshots=4), targets(generator, 1)
    assert snapshot_steps(config) == [0, 3, 6, 9]
    (lane,) = invert(generator, warps, [1], config)
    assert len(lane.snapshots) == 4
    assert not torch.equal(lane.snapshots[0], lane.snapshots[3])


def test_gradients_of_the_objective_are_those_of_finite_differences(generator) -> None:
    config = settings(prior_weight=0.1, l1_weight=0.3, geodesic_weight=0.01)
    objective, space = Objective(targets(generator, 1), config, None), build_space(generator, config)
    start = doubled(space.start(HYPOTHESIS, 1))
    codes, alpha = start["codes"].requires_grad_(), start["alpha"].requires_grad_()

    def loss(codes: Tensor, alpha: Tensor) -> Tensor:
        latents = {"codes": codes, "alpha": alpha, "tail": start["tail"]}
        return objective(space.images([latents], HYPOTHESIS.composing_layer), [latents])[0].sum()

    loss(codes, alpha).backward()
    for tensor, name in ((codes, "codes"), (alpha, "alpha")):
        direction = torch.randn(tensor.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        step = 1e-6
        with torch.no_grad():
            moved = [
                loss(codes + sign * step * direction, alpha)
                if name == "codes"
                else loss(codes, alpha + sign * step * direction)
                for sign in (1, -1)
            ]
        assert tensor.grad is not None
        slope = float((tensor.grad * direction).sum())
        assert slope == pytest.approx(float(moved[0] - moved[1]) / (2 * step), rel=1e-4)


def test_perceptual_norms_and_sizes() -> None:
    class Halves:
        """A feature network of one layer: every second pixel."""

        name, layers, unit = "halves", ("relu3_3",), 2.0

        def channels(self, layer: str) -> int:
            return 3

        def __call__(self, images: Tensor, layers: object) -> dict[str, Tensor]:
            return {"relu3_3": images[:, :, ::2, ::2] + 3}

    target, images = torch.zeros(2, 3, 64, 64), torch.full((2, 3, 64, 64), 0.5)
    raw = Objective(target, settings(perceptual_weight=1.0), Halves()).perceptual(images)
    torch.testing.assert_close(raw, torch.full((2,), 0.001 * 0.5 / 2))
    relative = Objective(target, settings(perceptual_weight=1.0, perceptual_norm="relative"), Halves())
    torch.testing.assert_close(relative.perceptual(images), torch.full((2,), 0.5 / 3))
    small = Objective(target, settings(perceptual_weight=1.0, perceptual_size=32), Halves())
    torch.testing.assert_close(small.perceptual(images), raw)
    nearest = Objective(target, settings(perceptual_weight=1.0, perceptual_resize="nearest"), Halves())
    torch.testing.assert_close(nearest.perceptual(images), raw)


def test_ids_and_seeds_depend_on_content_only() -> None:
    assert Hypothesis.parse("L06N30") == Hypothesis(6, 30)
    with pytest.raises(ValueError, match="expected a hypothesis id like 'L06N30'"):
        Hypothesis.parse("6x30")
    assert Pair("=1+1.png", "_b.png").id.startswith("1-1__b__")
    assert Pair("a.png", "b.png").id != Pair("a.jpg", "b.png").id
    assert Pair("a.png", "").id.startswith("a__") and Pair("a.png", "").id != Pair("a.jpg", "").id
    assert lane_seed(0, "p", "L04N10") != lane_seed(0, "p", "L04N20")
    assert 0 <= lane_seed(1, "p") < 2**63
