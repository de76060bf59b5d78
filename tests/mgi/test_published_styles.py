"""First steps of the methods of styles under `inversion.budget = published`, against plainly written formulas.

Random weights; StyleGAN2's projector, PULSE, Image2StyleGAN. Ours is the engine's spaces, objective and solver.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published import ONE, STEPS, doubled, published, random_vgg, run
from tiny import tiny_stylegan2
from torch import Tensor

from mgi.downscaling import bicubic_down
from mgi.features.lpips import LAYERS, LPIPS, read_heads
from mgi.inversion.latents import detached
from mgi.inversion.objective import Objective
from mgi.inversion.prior import LatentPrior, measure_prior
from mgi.inversion.spaces import build_space


@pytest.fixture(scope="module")
def styled() -> Any:
    return tiny_stylegan2()


# ---------------------------------------------------------------------- StyleGAN2's projector


def lpips() -> LPIPS:
    """LPIPS with random convolutions of true widths; in float64, since Adam divides rounding by small gradients."""
    random, tensors, inputs = torch.Generator().manual_seed(2), {}, 3
    for block, (count, outputs) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1):
        for index in range(1, count + 1):
            weight = torch.randn(outputs, inputs, 3, 3, generator=random) * (2 / (9 * inputs)) ** 0.5
            tensors |= {f"conv{block}_{index}.weight": weight, f"conv{block}_{index}.bias": torch.zeros(outputs)}
            inputs = outputs
    network = LPIPS(tensors, read_heads(), "fp32").double()
    network._dtype = torch.float64
    return network


@pytest.mark.slow
def test_the_projector_of_stylegan2(styled: Any) -> None:
    """Noise on w by its full spread, rates from zero, noise maps normalised after each step, the last w is kept."""
    settings, network = published("stylegan2-projector", steps=8), lpips()
    assert settings.keep == "last" and settings.perceptual_norm == "lpips"
    space = build_space(styled, settings)
    with torch.no_grad():
        target = styled(torch.randn(1, styled.z_dim, generator=torch.Generator().manual_seed(9)).double())
    start = doubled(space.start(ONE, 3))
    objective = Objective(target, settings, network)
    lane = run(space, objective, settings, detached(start))

    with torch.no_grad():
        w_samples = styled.to_w(torch.randn(10_000, styled.z_dim, generator=torch.Generator().manual_seed(0)))
    spread = float((w_samples - w_samples.mean(0)).square().sum(1).mean().sqrt())
    w = start["codes"].clone().requires_grad_()
    maps = {name: tensor.clone().requires_grad_() for name, tensor in start.items() if name.startswith("noise")}
    assert len(maps) == len(styled.noise_shapes()), "every map is optimised"
    adam = torch.optim.Adam([w, *maps.values()], lr=0.1, betas=(0.9, 0.999))
    losses = []
    for step in range(8):
        t = step / 8
        strength = spread * 0.05 * max(0.0, 1 - t / 0.75) ** 2
        ramp = (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25))) * min(1.0, t / 0.05)
        for group in adam.param_groups:
            group["lr"] = 0.1 * ramp
        drawn = torch.randn(1, w.shape[1], generator=torch.Generator().manual_seed(3 + step)).double()
        noisy = w + drawn * strength
        images = styled.synthesize(noisy, {int(name[5:]): value[None, None] for name, value in maps.items()})
        loss = _lpips(network, images, target) + 1e5 * _autocorrelation(list(maps.values()))
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            for value in maps.values():
                value.sub_(value.mean()).div_(value.square().mean().sqrt())
        losses.append(float(loss.detach()))
    assert lane.losses == pytest.approx(losses, rel=1e-4)
    torch.testing.assert_close(lane.best["codes"], w.detach(), atol=1e-5, rtol=1e-4)
    for name, value in maps.items():
        torch.testing.assert_close(lane.best[name], value.detach(), atol=1e-4, rtol=1e-4)


def _lpips(network: LPIPS, images: Tensor, target: Tensor) -> Tensor:
    """Sum over layers of the mean over positions of sum_c w_c (u(x) - u(y))_c^2, of images of 64 pixels at least."""
    seen = [F.interpolate(x, size=(64, 64), mode="nearest") for x in (images, target)]
    ours, theirs = (network(x, LAYERS) for x in seen)
    total = torch.zeros((), dtype=torch.float32)
    for layer in LAYERS:
        both = (ours[layer], theirs[layer])
        x, y = (feature / (feature.square().sum(1, keepdim=True).sqrt() + 1e-8) for feature in both)
        total = total + (network.heads[layer].view(1, -1, 1, 1) * (x - y) ** 2).sum(1).mean()
    return total


def _autocorrelation(maps: list[Tensor]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for value in maps:
        noise = value[None, None]
        while True:
            total = total + (noise * noise.roll(1, 3)).mean() ** 2 + (noise * noise.roll(1, 2)).mean() ** 2
            if noise.shape[2] <= 8:
                break
            rows = noise.shape[2] // 2
            noise = noise.reshape(1, 1, rows, 2, rows, 2).mean((3, 5))
    return total


# ---------------------------------------------------------------------- PULSE


def prior_of(styled: Any) -> LatentPrior:
    prior = measure_prior(lambda z: styled.to_w(z.double()).float(), styled.z_dim, samples=4000)
    return LatentPrior(prior.mean.double(), prior.basis.double(), prior.scale.double())


def test_pulse(styled: Any) -> None:
    """100 x squared error on [0, 1] after bicubic scaling, at least eps, + 0.05 x the cross loss on w; Adam, sphere."""
    from mgi import degradations

    settings, prior = published("pulse", steps=10, degradation="down2"), prior_of(styled)
    space = build_space(styled, settings, prior)
    with torch.no_grad():
        truth = styled(torch.randn(1, styled.z_dim, generator=torch.Generator().manual_seed(9)).double())
    operator = degradations.build("down2", 16, [0], kind=settings.downscale)
    seen = operator(truth)
    start = doubled(space.start(ONE, 3))
    assert not torch.allclose(start["codes"][0], start["codes"][1]), "every style has a point of its own"
    lane = run(space, Objective(seen, settings, None, operator, space.points), settings, detached(start))

    unsquashed = styled.to_w(torch.randn(4000, styled.z_dim, generator=torch.Generator().manual_seed(0)).double())
    unsquashed = torch.where(unsquashed > 0, unsquashed, 5 * unsquashed)
    fit = prior.diagonal()
    mean, deviation = fit.mean, fit.scale
    torch.testing.assert_close(mean, unsquashed.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(deviation, unsquashed.std(0), rtol=1e-4, atol=1e-6)
    points = start["codes"].clone().requires_grad_()
    radius = math.sqrt(points.shape[1])
    adam, losses = torch.optim.Adam([points], lr=0.4), []
    for step in range(10):
        rate = (9 * (1 - abs(step / 9 - 0.5) * 2) + 1) / 10 if step < 9 else 0.1 + (step - 9) * (0.001 - 0.1)
        adam.param_groups[0]["lr"] = 0.4 * rate
        w = F.leaky_relu(points * deviation + mean, 0.2)
        small = bicubic_down((styled.synthesize(w[None]) + 1) / 2, 2)
        error = ((small - (seen + 1) / 2) ** 2).mean().clamp(min=2e-3)
        loss = 100 * error + 0.05 * _geocross(w)
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            points.div_(points.square().sum(1, keepdim=True).sqrt()).mul_(radius)
        losses.append(float(loss.detach()))
    assert lane.losses == pytest.approx(losses, rel=1e-6)
    torch.testing.assert_close(lane.best["codes"], points.detach(), atol=1e-6, rtol=1e-6)


def _geocross(w: Tensor) -> Tensor:
    total = torch.zeros((), dtype=w.dtype)
    for x in w:
        for y in w:
            a, b = ((x - y).pow(2).sum() + 1e-9).sqrt(), ((x + y).pow(2).sum() + 1e-9).sqrt()
            total = total + (2 * torch.atan2(a, b)).pow(2) * len(x)
    return total / len(w) ** 2 / 8


def test_pulses_cross_loss_on_the_sphere_is_there_for_the_asking(styled: Any) -> None:
    on_w, on_sphere = (published("pulse", geodesic_on=where) for where in ("w", "sphere"))
    start = doubled(build_space(styled, on_w, prior_of(styled)).start(ONE, 3))
    spaces = [build_space(styled, settings, prior_of(styled)) for settings in (on_w, on_sphere)]
    assert torch.equal(spaces[1].points(start), start["codes"])
    assert not torch.allclose(spaces[0].points(start), start["codes"])


def test_pulses_error_counts_no_less_than_eps() -> None:
    settings = published("pulse", geodesic_weight=0.0)
    lanes = [{"codes": torch.zeros(1, 2)}]
    near, far = torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.2)
    target = torch.full((1, 3, 16, 16), 0.02)
    of_near, of_far = (Objective(target, settings, None)(x, lanes)[0].item() for x in (near, far))
    assert of_near == pytest.approx(100 * 2e-3)
    assert of_far == pytest.approx(100 * (0.18 / 2) ** 2)


def test_the_bicubic_kernel_is_pulses() -> None:
    """Keys' kernel with a = -1/2, four cells wide, against a plain loop; borders are mirrored."""
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    factor, row = 4, image[0, 0, 5]
    padded = F.pad(row[None, None], (6, 6), mode="reflect")[0, 0]

    def cubic(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    weights = [cubic((i - 8 + 0.5) / factor) for i in range(16)]
    expected = [sum(w * float(padded[4 * cell + i]) for i, w in enumerate(weights)) / sum(weights) for cell in range(4)]
    constant = row.expand(1, 3, 16, 16)
    np.testing.assert_allclose(bicubic_down(constant, factor)[0, 0, 1].numpy(), expected, atol=1e-12)
    assert bicubic_down(torch.ones(1, 3, 64, 64), 8) == pytest.approx(1.0)


# ---------------------------------------------------------------------- Image2StyleGAN


def test_image2stylegan(styled: Any) -> None:
    """Squared error on [0, 1] at full size + squared errors of four VGG layers; W+ from the mean; the last is kept."""
    settings, vgg = published("image2stylegan"), random_vgg()
    space = build_space(styled, settings)
    with torch.no_grad():
        target = styled(torch.randn(1, styled.z_dim, generator=torch.Generator().manual_seed(9)).double())
    start = doubled(space.start(ONE, 3))
    lane = run(space, Objective(target, settings, vgg), settings, detached(start))

    w = start["codes"].clone().requires_grad_()
    assert w.shape[0] == styled.styles
    adam, losses = torch.optim.Adam([w], lr=0.01, betas=(0.9, 0.999), eps=1e-8), []
    layers = ["relu1_1", "relu1_2", "relu3_2", "relu4_2"]

    def features(image: Tensor) -> dict[str, Tensor]:
        return vgg(F.interpolate(image, size=(64, 64), mode="nearest"), layers)  # it sees nothing in smaller ones

    with torch.no_grad():
        wanted = features(target)
    for _ in range(STEPS):
        image = styled.synthesize(w[None])
        found = features(image)
        loss = F.mse_loss((image + 1) / 2, (target + 1) / 2) + sum(F.mse_loss(found[x], wanted[x]) for x in layers)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert lane.losses == pytest.approx(losses, rel=1e-4)
    torch.testing.assert_close(lane.best["codes"], w.detach(), atol=1e-4, rtol=1e-4)
