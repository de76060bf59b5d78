"""Spaces, objective and solver on a tiny generator: lanes are independent, the best is kept, NaN stays in its lane."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mgi.config import Inversion
from mgi.generators import load
from mgi.inversion.coarse import CoarseHead, fit_coarse_head
from mgi.inversion.objective import Objective
from mgi.inversion.prior import LatentPrior, measure_prior
from mgi.inversion.solver import solve
from mgi.inversion.space import Latents, LatentSpace
from mgi.pairs import Hypothesis, Pair, lane_seed

GOLDEN = Path(__file__).parents[1] / "golden"
HYPOTHESIS = Hypothesis(3, 4)


@pytest.fixture(scope="module")
def space() -> LatentSpace:
    """In float64: batched and single kernels round differently, and Adam amplifies what it divides by."""
    return LatentSpace(load(GOLDEN / "pggan_mganprior.pth").double())  # type: ignore[attr-defined]


def settings(**changes: object) -> Inversion:
    plain = {"steps": 12, "perceptual_weight": 0.0, "learning_rate": 0.05, "alpha_start": "one"}
    return Inversion.model_validate({**plain, **changes})


def targets(space: LatentSpace, count: int) -> Tensor:
    z = torch.randn(count, space.generator.z_dim, generator=torch.Generator().manual_seed(7)).double()
    with torch.no_grad():
        return space.generator(z)


def invert(space: LatentSpace, warps: Tensor, seeds: list[int], config: Inversion):
    start = Latents(*(t.double() for t in space.start(HYPOTHESIS, config, seeds).tensors()))
    return solve(space, Objective(warps, config, None), start, HYPOTHESIS, config, down=1)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_lane_does_not_depend_on_its_batch(space: LatentSpace, optimizer: str) -> None:
    config, warps = settings(optimizer=optimizer), targets(space, 3)
    together = invert(space, warps, [1, 2, 3], config)
    for lane, seed in enumerate([1, 2, 3]):
        alone = invert(space, warps[lane : lane + 1], [seed], config)
        torch.testing.assert_close(alone.latents.pack()[0], together.latents.pack()[lane], atol=1e-7, rtol=1e-6)
        torch.testing.assert_close(alone.losses[0], together.losses[lane], atol=1e-9, rtol=1e-9)


def test_the_same_seed_gives_the_same_bits(space: LatentSpace) -> None:
    config, warps = settings(), targets(space, 1)
    first, second = (invert(space, warps, [5], config).latents.pack() for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, invert(space, warps, [6], config).latents.pack())


def test_the_loss_falls_and_the_best_latents_are_kept(space: LatentSpace) -> None:
    config, warps = settings(steps=40), targets(space, 2)
    outcome = invert(space, warps, [1, 2], config)
    assert (outcome.best_loss < 0.7 * outcome.losses[:, 0]).all()
    torch.testing.assert_close(outcome.best_loss, outcome.losses.min(dim=1).values)
    with torch.no_grad():
        images = space.images(outcome.latents, HYPOTHESIS.composing_layer, 1)
    reached, _ = Objective(warps, config, None)(images, outcome.latents)
    torch.testing.assert_close(reached, outcome.best_loss, atol=1e-6, rtol=1e-5)


def test_a_diverging_lane_keeps_its_best_and_leaves_the_others_alone(space: LatentSpace) -> None:
    config, warps = settings(steps=8), targets(space, 2)
    alone = invert(space, warps[1:], [2], config)
    poisoned = warps.clone()
    poisoned[0, 0, 0, 0] = torch.nan
    outcome = invert(space, poisoned, [1, 2], config)
    assert outcome.stopped_at == [0, None]
    assert int(outcome.best_step[0]) == -1
    torch.testing.assert_close(outcome.latents.pack()[1], alone.latents.pack()[0], atol=1e-7, rtol=1e-6)
    assert torch.isfinite(outcome.losses[1]).all()


def test_when_every_lane_is_lost_the_solver_stops(space: LatentSpace) -> None:
    outcome = invert(space, torch.full_like(targets(space, 1), torch.nan), [1], settings(steps=500))
    assert outcome.stopped_at == [0]
    assert outcome.losses.shape == (1, 500)


def test_latents_survive_packing(space: LatentSpace) -> None:
    config = settings()
    latents = space.start(HYPOTHESIS, config, [1, 2])
    packed = latents.pack()
    assert packed.shape == (2, space.size(HYPOTHESIS, config))
    for before, after in zip(latents.tensors(), space.unpack(packed, HYPOTHESIS, config).tensors(), strict=True):
        assert torch.equal(before, after)


def test_published_start_is_random_codes_and_one_over_n(space: LatentSpace) -> None:
    latents = space.start(HYPOTHESIS, settings(alpha_start="1/N", start="random"), [3])
    assert torch.equal(latents.alpha, torch.full_like(latents.alpha, 0.25))
    expected = torch.randn(4, space.generator.z_dim, generator=torch.Generator().manual_seed(3))
    assert torch.equal(latents.codes[0], expected)
    near = space.start(HYPOTHESIS, settings(start="mean", jitter=0.1), [3])
    torch.testing.assert_close(near.codes[0], 0.1 * expected)


def test_gradients_of_the_objective_are_those_of_finite_differences(space: LatentSpace) -> None:
    config = settings(prior_weight=0.1, l1_weight=0.3)
    warps = targets(space, 1)
    objective = Objective(warps, config, None)
    start = space.start(HYPOTHESIS, config, [1])
    codes, alpha = start.codes.double().requires_grad_(), start.alpha.double().requires_grad_()

    def loss(codes: Tensor, alpha: Tensor) -> Tensor:
        latents = Latents(codes, alpha, start.tail.double())
        return objective(space.images(latents, HYPOTHESIS.composing_layer, 1), latents)[0].sum()

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


def test_space_uses_the_head_only_below_its_layer(space: LatentSpace) -> None:
    zeros = torch.zeros(1)
    identity = LatentPrior(torch.zeros(2), torch.eye(2), torch.ones(2))
    with_head = LatentSpace(space.generator, identity, CoarseHead(5, zeros, zeros, zeros, zeros))
    assert with_head.has_coarse(4) and with_head.has_coarse(5) and not with_head.has_coarse(6)
    assert not space.has_coarse(4)


def test_ids_and_seeds_depend_on_content_only() -> None:
    assert Hypothesis.parse("L06N30") == Hypothesis(6, 30)
    with pytest.raises(ValueError, match="expected a hypothesis id like 'L06N30'"):
        Hypothesis.parse("6x30")
    assert Pair("=1+1.png", "_b.png").id.startswith("1-1__b__")
    assert Pair("a.png", "b.png").id != Pair("a.jpg", "b.png").id
    assert lane_seed(0, "p", "L04N10") != lane_seed(0, "p", "L04N20")
    assert 0 <= lane_seed(1, "p") < 2**63
