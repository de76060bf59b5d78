"""Parts of training: objectives on a toy problem, penalties, augmentation, networks and their export."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mgi.generators.layouts.mganprior import read_mganprior
from mgi.generators.upconv import fused_kernel, plain_upsampled_convolution, upsampled_convolution
from mgi.training.augment import OPERATIONS, augment
from mgi.training.networks import (
    Convolution,
    Discriminator,
    PGGANGenerator,
    default_channels,
    minibatch_deviation,
    pixel_norm,
)
from mgi.training.objectives import OBJECTIVES, clip_weights, gradient_penalty, r1_penalty


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------------- objectives


def test_losses_at_known_logits() -> None:
    zero, one = torch.zeros(3), torch.ones(3)
    expected = {  # (discriminator at real 1, fake 0; generator at fake 0), by hand
        "minimax": (math.log1p(math.exp(-1)) + math.log(2), -math.log(2)),
        "non-saturating": (math.log1p(math.exp(-1)) + math.log(2), math.log(2)),
        "least-squares": (0.0, 0.5),
        "wgan": (-1.0, 0.0),
        "wgan-gp": (-1.0, 0.0),
        "hinge": (1.0, 0.0),
    }
    assert set(expected) == set(OBJECTIVES)
    for name, (discriminator, generator) in expected.items():
        assert float(OBJECTIVES[name].discriminator(one, zero)) == pytest.approx(discriminator, abs=1e-6)
        assert float(OBJECTIVES[name].generator(zero)) == pytest.approx(generator, abs=1e-6)


def test_minimax_saturates_where_the_other_does_not() -> None:
    lost = torch.tensor([-9.0], requires_grad=True)  # the discriminator is sure that it is fake
    (saturated,) = torch.autograd.grad(OBJECTIVES["minimax"].generator(lost), lost)
    (alive,) = torch.autograd.grad(OBJECTIVES["non-saturating"].generator(lost), lost)
    assert abs(float(saturated)) < 1e-3
    assert float(alive) < -0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_finds_the_mean_of_a_gaussian(name: str) -> None:
    """x = a + z / 2 in the plane against N((1, -1), 1/4): the known answer is a = (1, -1)."""
    objective = OBJECTIVES[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [Convolution(2, 32, 1), nn.LeakyReLU(0.2), Convolution(32, 32, 1), nn.LeakyReLU(0.2)]
        critic = nn.Sequential(*layers, Convolution(32, 1, 1, gain=1.0), nn.Flatten(0))
    known, a = torch.tensor([1.0, -1.0]), torch.zeros(2, requires_grad=True)
    judge = torch.optim.Adam(critic.parameters(), 0.01, (0.0, 0.9))
    player = torch.optim.Adam([a], 0.01, (0.0, 0.9))
    random = seeded()
    critic_steps = 5 if name.startswith("wgan") else 1  # as their papers have it
    path = []

    def draw(mean: Tensor) -> Tensor:
        return (mean + 0.5 * torch.randn(64, 2, generator=random))[:, :, None, None]

    for _ in range(300 if critic_steps == 1 else 180):
        for _ in range(critic_steps):
            real, fake = draw(known), draw(a).detach()
            loss = objective.discriminator(critic(real), critic(fake))
            if objective.gradient_penalty:
                loss = loss + gradient_penalty(critic, real, fake, torch.rand(64, generator=random))
            elif objective.clip is None:
                loss = loss + 0.5 * r1_penalty(critic, real)
            judge.zero_grad()
            loss.backward()
            judge.step()
            if objective.clip is not None:
                clip_weights(critic, 0.2)  # the paper's 0.01 would need many more steps
        player.zero_grad()
        objective.generator(critic(draw(a))).backward()
        player.step()
        path.append(a.detach().clone())
    mean = torch.stack(path[-60:]).mean(0)
    assert torch.allclose(mean, known, atol=0.3), mean


class Linear(nn.Module):
    """D(x) = sum(w x)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum(dim=(1, 2, 3))


def test_penalties_of_a_linear_discriminator() -> None:
    weight = torch.zeros(3, 4, 4)
    weight[0, 0, 0], weight[1, 2, 3] = 3.0, 4.0  # length 5
    images = torch.randn(2, 3, 4, 4, generator=seeded())
    linear = Linear(weight)
    assert float(r1_penalty(linear, images).detach()) == pytest.approx(25.0)
    penalty = gradient_penalty(linear, images, -images, torch.tensor([0.2, 0.7]))
    assert float(penalty.detach()) == pytest.approx(16.0)
    penalty.backward()  # the weights learn from it
    assert linear.weight.grad is not None
    assert linear.weight.grad.abs().sum() > 0


def test_clipping_bounds_weights_as_they_are_used() -> None:
    critic = Discriminator((16, 16, 8))
    clip_weights(critic, 0.01)
    used = [m.weight.abs().max() * m.scale for m in critic.modules() if isinstance(m, Convolution)]
    assert max(used) <= 0.01 + 1e-7
    assert min(used) > 0.0099


def test_spectral_norm_leaves_a_largest_singular_value_of_one() -> None:
    critic = Discriminator((16, 16, 8), spectral=True)
    for _ in range(30):
        critic(torch.randn(4, 3, 16, 16, generator=seeded()))
    critic.eval()
    for module in critic.modules():
        if isinstance(module, Convolution):
            largest = torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2)
            assert float(largest) * module.scale == pytest.approx(1.0, abs=0.05)


# ---------------------------------------------------------------------- augmentation


@pytest.mark.parametrize("name", OPERATIONS)
def test_augmentation_is_seeded_and_differentiable(name: str) -> None:
    images = torch.rand(4, 3, 16, 16, generator=seeded(1)).requires_grad_()
    first, again, other = (augment(images, [name], seeded(seed)) for seed in (3, 3, 4))
    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.allclose(first[0] - images[0], first[1] - images[1])  # every image draws for itself
    (gradient,) = torch.autograd.grad(first.sum(), images)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_augmentations_keep_what_they_promise() -> None:
    images = torch.rand(64, 3, 16, 16, generator=seeded(1))
    moved = OPERATIONS["translation"](images, seeded())
    inside = moved[:, :, 4:12, 4:12]
    for picture, patch in zip(images, inside, strict=True):
        windows = picture.unfold(1, 8, 1).unfold(2, 8, 1)  # [3, 9, 9, 8, 8]
        matches = (windows == patch[:, None, None]).all(dim=0).flatten(2).all(dim=2)
        assert matches.sum() == 1
        row, column = matches.nonzero()[0].tolist()
        assert abs(row - 4) <= 2
        assert abs(column - 4) <= 2
    contrast = OPERATIONS["contrast"](images, seeded())
    assert torch.allclose(contrast.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-5)
    saturated = OPERATIONS["saturation"](images, seeded())
    assert torch.allclose(saturated.mean(1), images.mean(1), atol=1e-5)
    difference = OPERATIONS["brightness"](images, seeded()) - images
    assert float(difference.flatten(1).std(dim=1).max()) < 1e-6
    assert float(difference.abs().max()) <= 0.5
    holes = (OPERATIONS["cutout"](images, seeded()) == 0).all(dim=1).sum(dim=(1, 2))
    assert int(holes.max()) == 9 * 9
    assert int(holes.min()) >= 5 * 5


# ---------------------------------------------------------------------- networks


def test_upsampled_convolution_equals_its_plain_twin() -> None:
    weight = torch.randn(5, 7, 3, 3, generator=seeded(), dtype=torch.float64, requires_grad=True)
    bias = torch.randn(5, generator=seeded(1), dtype=torch.float64)
    for size in (4, 8, 9):
        x = torch.randn(2, 7, size, size, generator=seeded(2), dtype=torch.float64, requires_grad=True)
        fast, plain = (f(x, weight, bias) for f in (upsampled_convolution, plain_upsampled_convolution))
        assert torch.allclose(fast, plain, atol=1e-12)
        for one, other in zip(
            torch.autograd.grad(fast.square().sum(), (x, weight)),
            torch.autograd.grad(plain.square().sum(), (x, weight)),
            strict=True,
        ):
            assert torch.allclose(one, other, atol=1e-10)
    assert fused_kernel(weight).shape == (7, 5, 4, 4)


def test_the_export_is_the_generator() -> None:
    network = PGGANGenerator((16, 16, 8, 8), z_dim=12)
    with torch.no_grad():
        for layer in network.layers:
            layer.bias.normal_(generator=seeded(5))
    z = torch.randn(3, 12, generator=seeded())
    loaded = read_mganprior(network.mganprior_state())
    assert (loaded.z_dim, loaded.layers, loaded.resolution) == (12, 8, 32)
    with torch.no_grad():
        expected, found = network(z), loaded(z)
    assert torch.allclose(found, expected, atol=1e-5)
    half = {name: tensor.half() for name, tensor in network.mganprior_state().items()}
    with torch.no_grad():
        rounded = read_mganprior(half)(z)
    assert (rounded - expected).abs().max() < 2 / 255


def test_networks_start_at_unit_scale() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        channels = default_channels(64, 64)
        images = PGGANGenerator(channels, 64)(torch.randn(8, 64))
        logits = Discriminator(channels)(images)
    assert images.shape == (8, 3, 64, 64)
    assert 0.3 < float(images.detach().std()) < 3
    assert logits.shape == (8,)
    assert float(logits.detach().abs().mean()) < 3


def test_minibatch_deviation_tells_groups_apart() -> None:
    same = torch.ones(4, 2, 3, 3)
    varied = torch.randn(4, 2, 3, 3, generator=seeded())
    out = minibatch_deviation(torch.cat([same, varied]))
    assert out.shape == (8, 3, 3, 3)
    assert float(out[:4, 2].max()) < 1e-3  # the neighbours' variation does not leak into this group
    assert float(out[4:, 2].min()) == pytest.approx(float(varied.var(dim=0, unbiased=False).sqrt().mean()), rel=1e-5)


def test_pixel_norm() -> None:
    x = 3 * torch.randn(2, 8, 4, 4, generator=seeded())
    assert torch.allclose(pixel_norm(x).square().mean(1), torch.ones(2, 4, 4), atol=1e-4)
