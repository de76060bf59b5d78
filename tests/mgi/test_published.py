"""mGANprior's first steps under `inversion.budget = published`, against its public code, and what all methods share.

Golden numbers are its public code's (tests/golden/README.md). Methods of styles: test_published_styles.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published import ONE, doubled, published, random_vgg, run
from tiny import tiny_stylegan2
from torch import Tensor

from mgi.config import Inversion
from mgi.generators import load_file
from mgi.inversion.objective import Objective
from mgi.inversion.spaces import build_space
from mgi.pairs import Hypothesis
from mgi.translators.registry import preset
from mgi.weights import WeightsMissing, path

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.slow
def test_mganpriors_trajectory_is_that_of_its_public_code() -> None:
    from mgi.features import load_backbone

    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    golden = dict(np.load(GOLDEN / "mganprior_trajectory.npz"))
    hypothesis = Hypothesis(int(golden["composing_layer"]), int(golden["num_codes"]))
    settings = published("mganprior", steps=len(golden["loss"]))
    space = build_space(load_file(GOLDEN / "mganprior_pggan256.pth"), settings)
    objective = Objective(torch.from_numpy(golden["target"]), settings, load_backbone("vgg16-imagenet"))
    start = {name: torch.from_numpy(golden[name]).clone() for name in ("codes", "alpha")}
    lane = run(space, objective, settings, {**start, "tail": torch.zeros(0, start["codes"].shape[1])}, hypothesis)
    np.testing.assert_allclose(lane.losses, golden["loss"], atol=1e-5)
    for name in ("codes", "alpha"):
        # Signs of L1 turn rounding into steps: the plain code in float64 also ends 1.2e-4 from these float32 numbers.
        np.testing.assert_allclose(lane.best[name].numpy(), golden[f"{name}_end"], atol=3e-4)


def test_mganpriors_feature_term_is_a_small_part_of_its_loss() -> None:
    """Golden losses and squared errors differ by the feature term: 4 % of the loss, not 70 %."""
    golden = dict(np.load(GOLDEN / "mganprior_trajectory.npz"))
    share = 1 - golden["mse"] / golden["loss"]
    assert (share > 0.03).all() and (share < 0.06).all()


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
    from mgi.degradations.masks import free_form

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
            return image * (1 - free_form(128, 5))
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


@pytest.fixture(scope="module")
def styled() -> Any:
    return tiny_stylegan2()


@pytest.mark.parametrize("profile", ["paper-celebahq", "paper-ffhq", "embedded"])
def test_a_single_code_takes_adam_under_every_profile(profile: str) -> None:
    from mgi.profiles import load_config

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
