"""The published methods' first steps, against their public formulas written plainly here, at random weights.

Our side is what `--method NAME` with `inversion.budget = published` gives: the engine's spaces, objective and solver
under the preset's settings, cut to a few steps. Numbers of mGANprior are its public code's (tests/golden/README.md).
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import Inversion
from mgi.downscaling import bicubic_down
from mgi.features import VGG
from mgi.features.lpips import LAYERS, LPIPS, read_heads
from mgi.generators import load
from mgi.inversion.latents import Latents, detached
from mgi.inversion.objective import Objective
from mgi.inversion.prior import LatentPrior, measure_prior
from mgi.inversion.solver import LaneState, Solver
from mgi.inversion.spaces import Space, build_space
from mgi.methods.presets import preset
from mgi.pairs import Hypothesis
from mgi.weights import WeightsMissing, path

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stub"))
from tiny import tiny_stylegan2  # noqa: E402

STEPS = 6
ONE = Hypothesis(1, 1)


def published(method: str, steps: int = STEPS, degradation: str = "none", **changes: object) -> Inversion:
    """The settings of a method as published, cut to a few steps; schedules stretch over them."""
    values = preset(method, degradation, "published")
    return Inversion.model_validate({**values, "degradation": degradation, "steps": steps, **changes})


def run(
    space: Space, objective: Objective, settings: Inversion, start: Latents, hypothesis: Hypothesis = ONE
) -> LaneState:
    """All steps of one lane from a given start."""
    lane = LaneState(hypothesis, 0, start, seed=3)
    Solver(space, objective, settings, down=1).advance([lane], settings.steps, lambda *_: None)
    return lane


def doubled(latents: Latents) -> Latents:
    return {name: tensor.double() for name, tensor in latents.items()}


# ---------------------------------------------------------------------- mGANprior


def test_mganpriors_trajectory_is_that_of_its_public_code() -> None:
    from mgi.features import load_backbone

    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    golden = dict(np.load(GOLDEN / "mganprior_trajectory.npz"))
    hypothesis = Hypothesis(int(golden["composing_layer"]), int(golden["num_codes"]))
    settings = published("mganprior", steps=len(golden["loss"]))
    space = build_space(load(GOLDEN / "mganprior_pggan256.pth"), settings)
    objective = Objective(torch.from_numpy(golden["target"]), settings, load_backbone("vgg16-imagenet"))
    start = {name: torch.from_numpy(golden[name]).clone() for name in ("codes", "alpha")}
    lane = run(space, objective, settings, {**start, "tail": torch.zeros(0, start["codes"].shape[1])}, hypothesis)
    np.testing.assert_allclose(lane.losses, golden["loss"], atol=1e-5)
    for name in ("codes", "alpha"):
        # Signs of L1 turn rounding into steps: the plain code in float64 ends 1.2e-4 from these float32 numbers, too.
        np.testing.assert_allclose(lane.best[name].numpy(), golden[f"{name}_end"], atol=3e-4)


def test_mganpriors_feature_term_is_a_small_part_of_its_loss() -> None:
    """Golden losses and squared errors differ by the feature term: 4 % of the loss, not 70 %."""
    golden = dict(np.load(GOLDEN / "mganprior_trajectory.npz"))
    share = 1 - golden["mse"] / golden["loss"]
    assert (share > 0.03).all() and (share < 0.06).all()


def random_vgg(convention: str = "torchvision-rgb") -> VGG:
    """A narrow VGG-16 of random weights in float32."""
    random, tensors, inputs = torch.Generator().manual_seed(1), {}, 3
    for block, count in ((1, 2), (2, 2), (3, 3), (4, 3)):
        for index in range(1, count + 1):
            weight = torch.randn(4 * block, inputs, 3, 3, generator=random) * (2 / (9 * inputs)) ** 0.5
            tensors |= {f"conv{block}_{index}.weight": weight, f"conv{block}_{index}.bias": weight.mean((1, 2, 3))}
            inputs = 4 * block
    return VGG("narrow", tensors, convention)


def test_the_published_feature_scale_does_not_depend_on_the_networks_convention() -> None:
    """A network for pixels in 0..255 whose first layer is that of unit variance, scaled, gives the same distance."""
    ours, x, y = random_vgg(), torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    scale = 255 * 0.226
    larger = random_vgg()
    larger.unit = scale
    larger.forward = lambda images, layers: {  # type: ignore[method-assign]
        name: scale * feature for name, feature in ours(images, layers).items()
    }
    for norm in ("mganprior", "mse"):
        settings = Inversion(perceptual_norm=norm, perceptual_layers=("relu2_2", "relu3_3"), perceptual_size=32)
        plain, other = (Objective(y, settings, network).perceptual(x) for network in (ours, larger))
        torch.testing.assert_close(plain, other)
    assert (random_vgg("caffe-bgr").unit, ours.unit) == (pytest.approx(scale), 1.0)


@pytest.mark.parametrize("degradation", ["gray", "mask", "down4"])
def test_mganpriors_tasks_compare_as_its_code_does(degradation: str) -> None:
    """Colorization, inpainting and super-resolution: both sides degraded, features of what is seen at 256 pixels."""
    from mgi import degradations

    settings, vgg = published("mganprior", degradation=degradation), random_vgg()
    random = torch.Generator().manual_seed(4)
    x, truth = (torch.rand(1, 3, 128, 128, generator=random) * 2 - 1 for _ in range(2))
    operator = degradations.build(degradation, 128, [5], kind=settings.downscale)
    found, _ = Objective(operator(truth), settings, vgg, operator)(x, [{"codes": torch.zeros(1, 2)}], [0])

    def theirs(image: Tensor) -> Tensor:
        if degradation == "gray":
            weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
            return (image * weights).sum(1, keepdim=True).expand(-1, 3, -1, -1)
        if degradation == "mask":
            return image * (1 - degradations.free_form(128, 5))
        return F.interpolate(image, scale_factor=1 / 4, mode="bilinear")

    def features(image: Tensor) -> Tensor:
        return vgg(F.interpolate(image, size=256, mode="nearest"), ["relu3_3"])["relu3_3"]

    x, truth = theirs(x), theirs(truth)
    weight = 0.1 if degradation == "mask" else 1.0
    expected = F.mse_loss(x, truth) + weight * 0.001 * F.l1_loss(features(x), features(truth))
    torch.testing.assert_close(found[0], expected)


def test_mganpriors_defaults_by_task() -> None:
    def of(degradation: str) -> tuple[tuple[str, ...], int, float, str]:
        s = Inversion.model_validate(preset("mganprior", degradation, "published"))
        return s.hypotheses, s.steps, s.perceptual_weight, s.merge

    assert of("none") == (("L06N30",), 3000, 1.0, "none")
    assert of("mask") == (("L04N30",), 3000, 0.1, "none")
    assert of("gray") == (("L04N20",), 1500, 1.0, "luminance")
    assert of("down16") == (("L06N30",), 2000, 1.0, "none")


# ---------------------------------------------------------------------- StyleGAN2's projector


@pytest.fixture(scope="module")
def styled() -> Any:
    return tiny_stylegan2()


def lpips() -> LPIPS:
    """LPIPS with random convolutions of true widths."""
    random, tensors, inputs = torch.Generator().manual_seed(2), {}, 3
    for block, (count, outputs) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1):
        for index in range(1, count + 1):
            weight = torch.randn(outputs, inputs, 3, 3, generator=random) * (2 / (9 * inputs)) ** 0.5
            tensors |= {f"conv{block}_{index}.weight": weight, f"conv{block}_{index}.bias": torch.zeros(outputs)}
            inputs = outputs
    return LPIPS(tensors, read_heads(), "fp32")


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
    expected = [
        sum(w * float(padded[4 * cell + i]) for i, w in enumerate(weights)) / sum(weights) for cell in range(4)
    ]
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
        return vgg(F.interpolate(image, size=(64, 64), mode="nearest"), layers)  # as small a network sees anything

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


# ---------------------------------------------------------------------- what they share


@pytest.mark.parametrize("profile", ["paper-celebahq", "paper-ffhq", "embedded"])
def test_a_single_code_takes_adam_under_every_profile(profile: str) -> None:
    from mgi.config import load_config

    inversion = load_config(profile, method="single-code").inversion
    assert (inversion.optimizer, inversion.learning_rate, inversion.space) == ("adam", 0.1, "z")


def test_the_last_step_is_kept_only_where_asked(styled: Any) -> None:
    with torch.no_grad():
        target = styled(torch.randn(1, styled.z_dim, generator=torch.Generator().manual_seed(9)).double())
    ends = {}
    for keep in ("best", "last"):
        # So large a step that the loss goes up again.
        settings = Inversion(space="w", steps=4, learning_rate=300.0, perceptual_weight=0.0, start="mean", keep=keep)
        space = build_space(styled, settings)
        lane = run(space, Objective(target, settings, None), settings, doubled(space.start(ONE, 3)))
        ends[keep] = lane
    best, last = ends["best"], ends["last"]
    assert best.losses == last.losses and best.best_loss == min(best.losses)
    assert last.best_loss == last.losses[-1] > best.best_loss
    assert torch.equal(last.best["codes"], last.latents["codes"].detach())
    assert not torch.equal(best.best["codes"], last.best["codes"])
