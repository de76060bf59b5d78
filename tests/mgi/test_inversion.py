"""Spaces, objective, solver and search on tiny generators: lanes are independent, the best is kept, NaN stays in its
lane."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mgi.config import ConfigError, Inversion
from mgi.generators import load
from mgi.generators.base import GeneratorError
from mgi.generators.styled import Linear
from mgi.generators.stylegan2 import Modulated, StyleGAN2
from mgi.inversion.coarse import CoarseHead, fit_coarse_head
from mgi.inversion.latents import Latents, pack, size_of, unpack
from mgi.inversion.objective import Objective
from mgi.inversion.prior import LatentPrior, measure_prior
from mgi.inversion.search import search
from mgi.inversion.solver import LaneState, Solver, schedule_factor, snapshot_steps
from mgi.inversion.spaces import MultiCode, Space, build_space
from mgi.pairs import Hypothesis, Pair, lane_seed

GOLDEN = Path(__file__).parents[1] / "golden"
HYPOTHESIS = Hypothesis(3, 4)


@pytest.fixture(scope="module")
def generator():
    """In float64: batched and single kernels round differently, and Adam amplifies what it divides by."""
    return load(GOLDEN / "pggan_mganprior.pth").double()  # type: ignore[attr-defined]


class InFloat64(StyleGAN2):
    """Takes z of any precision."""

    def to_w(self, z: Tensor) -> Tensor:
        return super().to_w(z.double())


@pytest.fixture(scope="module")
def styled() -> StyleGAN2:
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


def test_latents_survive_packing(generator) -> None:
    space = build_space(generator, settings())
    latents, shapes = space.start(HYPOTHESIS, 1), space.shapes(HYPOTHESIS)
    packed = pack(latents)
    assert packed.shape == (size_of(shapes),)
    for name, tensor in unpack(packed, shapes).items():
        assert torch.equal(tensor, latents[name])


def test_published_start_is_random_codes_and_one_over_n(generator) -> None:
    latents = build_space(generator, settings(alpha_start="1/N", start="random")).start(HYPOTHESIS, 3)
    assert torch.equal(latents["alpha"], torch.full_like(latents["alpha"], 0.25))
    expected = torch.randn(4, generator.z_dim, generator=torch.Generator().manual_seed(3))
    assert torch.equal(latents["codes"], expected)
    near = build_space(generator, settings(start="mean", jitter=0.1)).start(HYPOTHESIS, 3)
    torch.testing.assert_close(near["codes"], 0.1 * expected)


def prior_of(styled) -> LatentPrior:
    prior = measure_prior(lambda z: styled.to_w(z.double()).float(), styled.z_dim, samples=4000)
    return LatentPrior(prior.mean.double(), prior.basis.double(), prior.scale.double())


@pytest.mark.parametrize("name", ["multi", "multi-z", "z", "w", "w+", "sphere"])
def test_every_space_of_a_style_based_generator_inverts(styled, name: str) -> None:
    config = settings(space=name, steps=25, learning_rate=0.05, start="random" if name == "z" else "mean")
    space = build_space(styled, config, prior_of(styled))
    hypothesis = HYPOTHESIS if name.startswith("multi") else Hypothesis(1, 1)
    warps = targets(styled, 1)
    (lane,) = lanes_of(space, [3], hypothesis)
    search(Solver(space, Objective(warps, config, None), config, 1), [lane], config)
    assert lane.best_loss < 0.9 * lane.losses[0]
    assert lane.best["codes"].shape == tuple(space.shapes(hypothesis)["codes"])
    if name == "sphere":
        radii = lane.best["codes"].norm(dim=1)
        torch.testing.assert_close(radii, torch.full_like(radii, styled.z_dim**0.5), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["z", "sphere", "multi-z"])
def test_spaces_without_styles_serve_any_generator(generator, name: str) -> None:
    config = settings(space=name, steps=25, learning_rate=0.05)
    space = build_space(generator, config)
    (lane,) = lanes_of(space, [3], HYPOTHESIS if name == "multi-z" else Hypothesis(1, 1))
    search(Solver(space, Objective(targets(generator, 1), config, None), config, 1), [lane], config)
    assert lane.best_loss < 0.9 * lane.losses[0]


@pytest.mark.parametrize("name", ["w", "w+"])
def test_w_needs_styles(generator, name: str) -> None:
    with pytest.raises(GeneratorError, match=r"has no latent space w.*it has no styles"):
        build_space(generator, settings(space=name))


def test_w_plus_is_the_synthesis_itself(styled) -> None:
    space = build_space(styled, settings(space="w+"))
    w = styled.to_w(torch.randn(styled.styles, styled.z_dim, generator=torch.Generator().manual_seed(1)).double())
    torch.testing.assert_close(space.images([{"codes": w}], 1), styled.synthesize(w[None]))
    one = build_space(styled, settings(space="w"))
    torch.testing.assert_close(one.images([{"codes": w[:1]}], 1), styled.synthesize(w[:1]))


def test_noise_on_w_fades_out_and_depends_on_the_lane_alone(styled) -> None:
    config = settings(space="w", start="mean", latent_noise=0.5, steps=12)
    space = build_space(styled, config)
    solver = Solver(space, Objective(targets(styled, 1), config, None), config, 1)
    lane, twin, other = lanes_of(space, [1, 1, 2], Hypothesis(1, 1))
    noisy = solver._disturbed(lane, 0)["codes"]
    assert not torch.equal(noisy, lane.latents["codes"])
    assert torch.equal(noisy, solver._disturbed(twin, 0)["codes"])
    assert not torch.equal(noisy, solver._disturbed(other, 0)["codes"])
    assert solver._disturbed(lane, 10) is lane.latents


@pytest.mark.parametrize(("name", "first"), [("multi", 4), ("w+", 1)])
def test_noise_maps_are_a_lanes_own_where_asked(styled, name: str, first: int) -> None:
    """Fresh maps stay, optimised ones move and keep mean 0 and variance 1, larger ones are the stored ones."""
    warps, hypothesis = targets(styled, 1), HYPOTHESIS if name == "multi" else Hypothesis(1, 1)
    for noise in ("fresh", "optimised"):
        config = settings(space=name, start="mean", noise=noise, noise_weight=0.1, noise_rows=8, steps=3)
        space = build_space(styled, config, prior_of(styled))
        names = [group for group in space.shapes(hypothesis) if group.startswith("noise")]
        assert names == [f"noise{layer:02d}" for layer in range(first, 4)], "the layers of 16 x 16 are left alone"
        (lane,) = lanes_of(space, [3], hypothesis)
        before = {group: lane.latents[group].clone() for group in names}
        search(Solver(space, Objective(warps, config, None), config, 1), [lane], config)
        assert not space.has_coarse(1)
        for group in names:
            moved = not torch.allclose(lane.latents[group], before[group], atol=1e-3)
            assert moved == (noise == "optimised")
            after = lane.latents[group].detach()
            assert abs(float(after.mean())) < 1e-6
            assert float(after.square().mean()) == pytest.approx(1, abs=1e-4)


def test_a_generator_without_noise_says_so(generator) -> None:
    with pytest.raises(ConfigError, match="this generator has no noise"):
        build_space(generator, settings(noise="fresh"))


def test_schedules() -> None:
    def factors(schedule: str) -> list[float]:
        config = settings(schedule=schedule, steps=100)
        return [schedule_factor(config, step) for step in range(100)]

    assert set(factors("constant")) == {1.0}
    ramp, cosine, cycle = factors("ramp"), factors("cosine"), factors("cycle")
    assert ramp[0] == 0.2 and ramp[50] == 1.0 and ramp[99] == pytest.approx(0.03)
    assert cosine[0] < 0.2 and cosine[50] == 1.0 and cosine[99] < 0.01
    assert cycle[45] == pytest.approx(1.0) and cycle[0] == pytest.approx(0.1) and cycle[99] < 0.02


def test_snapshots_are_spread_over_the_way(generator) -> None:
    config, warps = settings(steps=10, snapshots=4), targets(generator, 1)
    assert snapshot_steps(config) == [0, 3, 6, 9]
    (lane,) = invert(generator, warps, [1], config)
    assert len(lane.snapshots) == 4
    assert not torch.equal(lane.snapshots[0], lane.snapshots[3])


@pytest.mark.parametrize("name", ["multi", "z", "w", "w+", "sphere"])
def test_editing_moves_latents_along_a_direction_and_back(styled, name: str) -> None:
    space = build_space(styled, settings(space=name), prior_of(styled))
    latents = doubled(space.start(HYPOTHESIS if name == "multi" else Hypothesis(1, 1), 1))
    direction = torch.randn(styled.z_dim, generator=torch.Generator().manual_seed(2)).double()
    there = space.edited(latents, direction, 0.5)
    back = space.edited(there, direction, -0.5)
    assert not torch.allclose(there["codes"], latents["codes"])
    torch.testing.assert_close(back["codes"], latents["codes"], atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        layer = HYPOTHESIS.composing_layer
        assert not torch.allclose(space.images([there], layer), space.images([latents], layer))


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


def test_multi_code_equals_the_public_composition(generator) -> None:
    space = build_space(generator, settings())
    latents = doubled(space.start(HYPOTHESIS, 4))
    features = generator.compose(latents["codes"][None], latents["alpha"][None], 3)
    torch.testing.assert_close(space.images([latents], 3), generator.render(features, 3))


def test_perceptual_norms_and_sizes() -> None:
    class Halves:
        """A feature network of one layer: every second pixel."""

        name, layers = "halves", ("relu3_3",)

        def channels(self, layer: str) -> int:
            return 3

        def __call__(self, images: Tensor, layers: object) -> dict[str, Tensor]:
            return {"relu3_3": images[:, :, ::2, ::2] + 3}

    target, images = torch.zeros(2, 3, 64, 64), torch.full((2, 3, 64, 64), 0.5)
    raw = Objective(target, settings(perceptual_weight=1.0), Halves()).perceptual(images)
    torch.testing.assert_close(raw, torch.full((2,), 0.001 * 0.5))
    relative = Objective(target, settings(perceptual_weight=1.0, perceptual_norm="relative"), Halves())
    torch.testing.assert_close(relative.perceptual(images), torch.full((2,), 0.5 / 3))
    small = Objective(target, settings(perceptual_weight=1.0, perceptual_size=32), Halves())
    torch.testing.assert_close(small.perceptual(images), raw)


def test_prior_whitens_latents() -> None:
    mix = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))

    def to_w(z: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu(z @ mix + 1, 0.2)

    prior = measure_prior(to_w, 6, samples=40_000)
    w = to_w(torch.randn(20_000, 6, generator=torch.Generator().manual_seed(1)))
    v = prior.to_v(w)
    torch.testing.assert_close(v.mean(0), torch.zeros(6), atol=0.05, rtol=0)
    torch.testing.assert_close(torch.cov(v.t()), torch.eye(6), atol=0.06, rtol=0)
    torch.testing.assert_close(prior.to_w(v), w, atol=1e-4, rtol=1e-4)


def test_coarse_head_recovers_a_modulated_readout() -> None:
    random = torch.Generator().manual_seed(0)
    weight, style = torch.randn(12, 8, generator=random), 0.3 * torch.randn(8, 5, generator=random)
    styles = torch.randn(80, 5, generator=random)
    features = torch.randn(80, 50, 8, generator=random)
    coefficients = torch.einsum("spc,sc,oc->spo", features, 1 + styles @ style.t(), weight) + 0.5
    head, error = fit_coarse_head(3, features, styles, coefficients, steps=1500)
    assert error < 0.1
    images = head(torch.randn(2, 8, 4, 4, generator=random), styles[:2])
    assert images.shape == (2, 3, 8, 8)


def test_space_uses_the_head_only_below_its_layer(generator) -> None:
    zeros = torch.zeros(1)
    identity = LatentPrior(torch.zeros(2), torch.eye(2), torch.ones(2))
    with_head = MultiCode(generator, settings(), identity, CoarseHead(5, zeros, zeros, zeros, zeros))
    assert with_head.has_coarse(4) and with_head.has_coarse(5) and not with_head.has_coarse(6)
    assert not build_space(generator, settings()).has_coarse(4)


def test_ids_and_seeds_depend_on_content_only() -> None:
    assert Hypothesis.parse("L06N30") == Hypothesis(6, 30)
    with pytest.raises(ValueError, match="expected a hypothesis id like 'L06N30'"):
        Hypothesis.parse("6x30")
    assert Pair("=1+1.png", "_b.png").id.startswith("1-1__b__")
    assert Pair("a.png", "b.png").id != Pair("a.jpg", "b.png").id
    assert Pair("a.png", "").id.startswith("a__") and Pair("a.png", "").id != Pair("a.jpg", "").id
    assert lane_seed(0, "p", "L04N10") != lane_seed(0, "p", "L04N20")
    assert 0 <= lane_seed(1, "p") < 2**63
