"""Latent spaces on tiny generators: what a lane optimises, where it starts, and the image that it stands for."""

from __future__ import annotations

import pytest
import torch
from tiny import HYPOTHESIS, doubled, lanes_of, prior_of, settings, targets, tiny_pggan, tiny_stylegan2
from torch import Tensor

from mgi.config import ConfigError
from mgi.generators import GeneratorError
from mgi.generators.stylegan2 import StyleGAN2
from mgi.inversion.coarse import CoarseHead, fit_coarse_head
from mgi.inversion.latents import pack, size_of, unpack
from mgi.inversion.objective import Objective
from mgi.inversion.prior import LatentPrior, measure_prior
from mgi.inversion.search import search
from mgi.inversion.solver import Solver
from mgi.inversion.spaces import MultiCode, build_space
from mgi.pairs import Hypothesis


@pytest.fixture(scope="module")
def generator():
    return tiny_pggan()


@pytest.fixture(scope="module")
def styled() -> StyleGAN2:
    return tiny_stylegan2()


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
            if noise == "fresh":
                continue
            after = lane.latents[group].detach()
            assert abs(float(after.mean())) < 1e-6
            assert float(after.square().mean()) == pytest.approx(1, abs=1e-4)


def test_a_generator_without_noise_says_so(generator) -> None:
    with pytest.raises(ConfigError, match="this generator has no noise"):
        build_space(generator, settings(noise="fresh"))


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


def test_multi_code_equals_the_public_composition(generator) -> None:
    space = build_space(generator, settings())
    latents = doubled(space.start(HYPOTHESIS, 4))
    features = generator.compose(latents["codes"][None], latents["alpha"][None], 3)
    torch.testing.assert_close(space.images([latents], 3), generator.render(features, 3))


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
    head, tapped = CoarseHead(5, zeros, zeros, zeros, zeros), tiny_stylegan2()
    tapped.tail_features = None  # it only asks whether there is one
    with_head = MultiCode(tapped, settings(), identity, head)
    assert with_head.has_coarse(4) and with_head.has_coarse(5) and not with_head.has_coarse(6)
    assert not build_space(tapped, settings()).has_coarse(4)
    assert not MultiCode(generator, settings(), identity, head).has_coarse(4), "a head that cannot read the generator"
