"""Noise of style-based generators: stored, fresh and optimised; and their latent spaces Z, W and W+."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mgi import weights
from mgi.generators import GeneratorError, load_file

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = ("stylegan_genforce", "stylegan2_genforce", "stylegan2_rosinality")
STYLED = (*SMALL, pytest.param("mobile-stylegan-ffhq", marks=pytest.mark.slow))


@pytest.fixture(scope="module", params=STYLED)
def generator(request: pytest.FixtureRequest) -> Any:
    name = str(request.param)
    return load_file(GOLDEN / f"{name}.pth" if name in SMALL else weights.path(name))


def latent(generator: Any, batch: int, seed: int = 0) -> Tensor:
    z = torch.randn(batch, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    result: Tensor = generator.to_w(z)
    return result


def small(generator: Any) -> int:
    """A layer from which the rest renders quickly."""
    return max(1, generator.layers - 4)


def test_stored_noise_given_back_changes_nothing(generator: Any) -> None:
    w = latent(generator, 1)
    with torch.no_grad():
        stored, given = generator.synthesize(w), generator.synthesize(w, noise=generator.stored_noise())
    # MobileStyleGAN's strengths are folded in, and with noise it takes its plain path: equal up to rounding.
    exact = generator.name != "mobile-stylegan"
    torch.testing.assert_close(given, stored, rtol=0, atol=0 if exact else 3e-4)


def test_shapes_belong_to_layers(generator: Any) -> None:
    shapes = generator.noise_shapes()
    assert list(shapes) == list(range(1, generator.layers + 1))
    assert all(shape == (generator.layer_size(layer),) * 2 for layer, shape in shapes.items())
    assert list(generator.noise_shapes(3)) == list(range(4, generator.layers + 1))
    assert all(tuple(m.shape[2:]) == shapes[layer] for layer, m in generator.stored_noise().items())


def test_every_map_matters_and_gets_its_gradient(generator: Any) -> None:
    """None of the golden strengths is zero: each layer's map moves the image, and nothing else does."""
    layer = small(generator)
    w = latent(generator, 2)
    with torch.no_grad():
        features = generator.head(w, layer)
    noise = {key: m.requires_grad_() for key, m in generator.fresh_noise([1, 2], start_layer=layer).items()}
    image = generator.render(features, layer, w, down=2, noise=noise)
    gradients = torch.autograd.grad(image.square().sum(), list(noise.values()))
    for gradient in gradients:
        assert (gradient.flatten(1).abs().sum(dim=1) > 0).all()
    # along the gradient the objective rises
    number = generator.layers - 1
    gradient = gradients[list(noise).index(number)]
    with torch.no_grad():
        step = 1e-2 * gradient / gradient.norm()
        moved = generator.render(features, layer, w, down=2, noise={**noise, number: noise[number] + step})
        assert moved.double().square().sum() > image.double().square().sum()


def test_fresh_noise_follows_from_the_seed_of_its_lane(generator: Any) -> None:
    both, alone = generator.fresh_noise([3, 7]), generator.fresh_noise([7], start_layer=2)
    assert list(alone) == list(both)[2:]
    for layer, m in alone.items():
        torch.testing.assert_close(m[0], both[layer][1], rtol=0, atol=0)
        assert not torch.equal(both[layer][0], both[layer][1])
    layer = small(generator)
    w = latent(generator, 2)
    with torch.no_grad():
        features = generator.head(w, layer)
        fresh = generator.render(features, layer, w, noise=both)
        single = generator.render(features[1:], layer, w[1:], noise=alone)
        stored = generator.render(features, layer, w)
    torch.testing.assert_close(fresh[1:], single, rtol=1e-4, atol=1e-4)
    assert (fresh - stored).abs().max() > 1e-3


def test_codes_of_a_lane_share_its_noise(generator: Any) -> None:
    w, layer = latent(generator, 4).view(2, 2, -1), 2
    noise = generator.fresh_noise([1, 2])
    alpha = torch.rand(2, 2, generator.layer_channels(layer), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fused = generator.compose(w, alpha, layer, space="w", noise=noise)
        by_hand = sum(alpha[:, n, :, None, None] * generator.head(w[:, n], layer, noise) for n in range(2)) / 2
        stored = generator.compose(w, alpha, layer, space="w")
    torch.testing.assert_close(fused, by_hand, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(fused, stored, rtol=1e-4, atol=1e-5)


def test_layers_left_out_keep_their_stored_map(generator: Any) -> None:
    layer = small(generator)
    w = latent(generator, 1)
    with torch.no_grad():
        features = generator.head(w, layer)
        stored = generator.render(features, layer, w, down=2)
        # maps of layers before the tail are not read
        early = generator.render(features, layer, w, down=2, noise={1: generator.fresh_noise([5])[1]})
    torch.testing.assert_close(early, stored, rtol=0, atol=0)


def test_wrong_noise_is_named(generator: Any) -> None:
    w = latent(generator, 2)
    size = generator.layer_size(1)
    with pytest.raises(GeneratorError, match=rf"noise at layers 1 to {generator.layers}, found a map for 99"):
        generator.synthesize(w, noise={99: torch.zeros(1, 1, size, size)})
    for shape in ((3, 1, size, size), (2, 2, size, size), (2, 1, size, 3)):
        with pytest.raises(GeneratorError, match=r"noise of layer 1 has shape .*, expected \[1 or 2, 1, ") as caught:
            generator.synthesize(w, noise={1: torch.zeros(shape)})
        assert "\n" not in str(caught.value)


def test_a_pggan_refuses_noise() -> None:
    generator = load_file(GOLDEN / "pggan_genforce.pth")
    assert generator.noise_shapes() == {}
    alpha = torch.ones(1, 1, generator.layer_channels(2))
    codes = torch.zeros(1, 1, generator.z_dim)
    with pytest.raises(GeneratorError, match="has no noise"):
        generator.compose(codes, alpha, 2, noise={})
    with pytest.raises(GeneratorError, match="has no noise"):
        generator.render(generator.compose(codes, alpha, 2), 2, noise={})


def test_the_three_latent_spaces_agree(generator: Any) -> None:
    z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(0))
    w = generator.to_w(z)
    plus = w[:, None].expand(-1, generator.styles, -1).clone().requires_grad_()
    image = generator(z)
    torch.testing.assert_close(generator.synthesize(w), image, rtol=1e-5, atol=1e-5)
    from_plus = generator.synthesize(plus)
    torch.testing.assert_close(from_plus, image, rtol=1e-5, atol=1e-5)
    (gradient,) = torch.autograd.grad(from_plus.square().mean(), plus)
    assert (gradient.abs().sum(dim=2) > 0).all(), "a style of W+ is not read"
    codes = plus.detach()[:, None].expand(-1, 2, -1, -1)
    alpha = torch.ones(1, 2, generator.layer_channels(3))
    composed = generator.compose(codes, alpha, 3, space="w")
    torch.testing.assert_close(composed, generator.head(w, 3), rtol=1e-4, atol=1e-4)
    with pytest.raises(GeneratorError, match=rf"expects w \[B, D\] or \[B, {generator.styles}, D\]"):
        generator.synthesize(plus[:, 1:])


def test_truncation(generator: Any) -> None:
    w = latent(generator, 2)
    whole, none, half = (generator.truncate(w, psi) for psi in (1.0, 0.0, 0.5))
    assert whole.shape == (2, generator.styles, w.shape[1])
    torch.testing.assert_close(whole, w[:, None].expand_as(whole))
    torch.testing.assert_close(none[0], none[1])  # the mean, whatever w
    torch.testing.assert_close(half, (whole + none) / 2)
    first = generator.truncate(w, 0.0, layers=1)
    torch.testing.assert_close(first[:, 0], none[:, 0])
    torch.testing.assert_close(first[:, 1:], whole[:, 1:])
