"""Fused features keep the variation that the generator's own have."""

from __future__ import annotations

import pytest
import torch
from tiny import HYPOTHESIS, lanes_of, prior_of, settings, targets, tiny_pggan, tiny_stylegan2
from tiny_mobile import tiny_mobile_state

from mgi.generators import Generator, is_styled
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.inversion.objective import Objective
from mgi.inversion.search import search
from mgi.inversion.solver import Solver
from mgi.inversion.spaces import build_space
from mgi.inversion.spread import LIMIT, SAMPLES, SEED, deviation, usual_spread, with_spread

USUAL = torch.tensor([1.0, 2.0, 0.5])


def features(scale: float = 0.1) -> torch.Tensor:
    found = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return 3 + scale * found


def test_the_whole_power_gives_each_channel_its_usual_deviation_and_keeps_its_mean() -> None:
    before = features(0.6)
    after = with_spread(before, USUAL, 1.0)
    torch.testing.assert_close(deviation(after), USUAL.expand(2, 3), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)))


def test_no_power_changes_nothing_and_half_goes_half_the_way() -> None:
    before = features(0.6)
    torch.testing.assert_close(with_spread(before, USUAL, 0.0), before)
    found = deviation(with_spread(before, USUAL, 0.5)).log()
    torch.testing.assert_close(found, (deviation(before).log() + USUAL.log()) / 2, rtol=1e-3, atol=1e-4)


def test_constant_channels_stay_and_have_gradients() -> None:
    flat = torch.ones(1, 3, 4, 4, requires_grad=True)
    found = with_spread(flat, USUAL, 1.0)
    torch.testing.assert_close(found, torch.ones(1, 3, 4, 4))
    found.square().sum().backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()
    little = with_spread(features(1e-3), USUAL, 1.0)
    torch.testing.assert_close(deviation(little), LIMIT * deviation(features(1e-3)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("make", [tiny_pggan, tiny_stylegan2])
def test_the_usual_deviation_is_that_of_samples(make) -> None:
    generator: Generator = make()
    z = torch.randn(SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(SEED))
    z = z.to(next(iter(generator.state_dict().values())))
    with torch.no_grad():
        codes = generator.to_w(z) if is_styled(generator) else z
        each = [generator.head(code, 2).std((2, 3), correction=0)[0] for code in codes.split(1)]
    expected = torch.stack(each).clamp(min=1e-6).log().mean(0).exp()
    torch.testing.assert_close(usual_spread(generator, 2, "cpu").double(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("make", [tiny_pggan, tiny_stylegan2])
def test_lanes_compose_with_it_and_are_inverted(make) -> None:
    generator = make()
    prior = prior_of(generator) if is_styled(generator) else None
    config = settings(fused_spread=1.0, steps=20, learning_rate=0.05)
    space = build_space(generator, config, prior)
    (lane,) = lanes_of(space, [3], HYPOTHESIS)
    with torch.no_grad():
        fused, _ = space.compose([lane.latents], HYPOTHESIS.composing_layer)
    usual = usual_spread(generator, HYPOTHESIS.composing_layer, "cpu")
    kept = deviation(fused)[0] / usual
    assert float(kept.median()) == pytest.approx(1, abs=0.05)
    warps = targets(generator, 1)
    search(Solver(space, Objective(warps, config, None), config, 1), [lane], config)
    assert lane.best_loss < lane.losses[0]


def test_a_batch_of_lanes_gives_each_what_it_gets_alone() -> None:
    generator = tiny_pggan()
    space = build_space(generator, settings(fused_spread=0.5))
    lanes = [lane.latents for lane in lanes_of(space, [1, 2], HYPOTHESIS)]
    with torch.no_grad():
        together, _ = space.compose(lanes, HYPOTHESIS.composing_layer)
        alone = torch.cat([space.compose([lane], HYPOTHESIS.composing_layer)[0] for lane in lanes])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_a_generator_in_bf16_has_the_same_spread() -> None:
    exact, rough = (MobileStyleGAN(tiny_mobile_state()).set_precision(precision) for precision in ("fp32", "bf16"))
    found, expected = (usual_spread(generator, 5, "cpu") for generator in (rough, exact))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=1e-3)
