"""What OEFT offers besides its defaults: the equations to the letter, regularization, another phi, and old runs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tiny_features import smooth_pictures, tiny_vgg
from torch import Tensor

from mgi.config import OEFT_TERMS, ConfigError, Oeft, RunConfig, Warp
from mgi.correspondence import hierarchical_features, soft_warp_reference, warp_exemplar
from mgi.correspondence.branches import Branches
from mgi.correspondence.matching import concatenated
from mgi.correspondence.oeft import FineTuner, fine_tuned_warp
from mgi.correspondence.regularization import cycle
from mgi.correspondence.warping import warp_pair
from mgi.features import VGG
from mgi.images import resize
from mgi.losses import contextual, contextual_literal, gram_literal, gram_relative, info_nce, info_nce_literal
from mgi.profiles import load_config

WARP = Warp(layers=("relu1_2", "relu2_1"), feature_size=16, image_size=64)
BASE = {
    "iterations": 1,
    "learning_rate": 1e-3,
    "positions": 16**2,
    "augment": False,
    "image_size": 64,
    "feature_size": 16,
    "perceptual_layers": ("relu1_1", "relu2_1"),
    "context_layers": ("relu2_1",),
    "context_weight": 1.0,
}


@pytest.fixture(scope="module")
def vgg() -> VGG:
    return tiny_vgg()


@pytest.fixture(scope="module")
def pairs() -> tuple[Tensor, Tensor]:
    return smooth_pictures(2)


def settings(**changes: Any) -> Oeft:
    return Oeft.model_validate({**BASE, **changes})


def first_losses(
    vgg: VGG, pairs: tuple[Tensor, Tensor], warp: Warp = WARP, style: VGG | None = None, **changes: Any
) -> Tensor:
    """The terms of the first iteration, [B, T]."""
    return FineTuner(*pairs, vgg, warp, settings(**changes), [1, 2], style=style).step()


def pieces(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """By hand: pyramids of the source and of the plain warp, and that warp."""
    warp = warp_exemplar(*pairs, vgg, WARP)
    source, found = ([*vgg(images, WARP.layers).values()] for images in (pairs[0], warp))
    return source, found, warp


# ------------------------------------------------------------------ forms


def test_the_contrastive_forms(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    source, found, _ = pieces(vgg, pairs)
    unit = [hierarchical_features(pyramid, 16) for pyramid in (source, found)]
    raw = [concatenated(pyramid, 16) for pyramid in (source, found)]
    expected = {
        ("mean", "unit"): info_nce(*unit),
        ("literal", "unit"): info_nce_literal(*unit),
        ("mean", "raw"): info_nce(*raw),
        ("literal", "raw"): info_nce_literal(*raw),
    }
    for (form, features), values in expected.items():
        column = first_losses(vgg, pairs, contrastive_form=form, contrastive_features=features)[:, 0]
        torch.testing.assert_close(column, values, rtol=1e-3, atol=1e-4)
    drawn = first_losses(vgg, pairs, contrastive_form="literal", positions=60)[:, 0]
    assert ((drawn / expected["literal", "unit"] - 1).abs() < 0.2).all()  # 60 of 256 anchors stand for all


def test_raw_features_are_those_of_unit_variance_pixels(pairs: tuple[Tensor, Tensor]) -> None:
    """A network that expects pixels in 0..255 has larger features: that is its convention, not the loss's concern."""
    network = tiny_vgg(convention="caffe-bgr")
    pyramids = [[*network(images, ["relu1_2"]).values()] for images in (pairs[0], pairs[0])]
    assert network.unit == pytest.approx(57.63) and float(pyramids[0][0].mean()) > 5
    warp = WARP.model_copy(update={"layers": ("relu1_2",), "temperature": 1e5})
    same = (pairs[0], pairs[0])  # warps to itself, more or less: only the scale matters here
    found = first_losses(network, same, warp, contrastive_features="raw", tau=1e3)[:, 0]
    assert ((found - math.log(256)).abs() < 0.01).all()  # logits of 57.63^2 / 1e3 would not be near a blind guess


def test_the_style_forms(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    warp = pieces(vgg, pairs)[2]
    layers = ["relu1_1", "relu2_1"]
    x, y = vgg(warp, layers), vgg(pairs[1], layers)
    for form, loss in (("relative", gram_relative), ("literal", gram_literal)):
        column = first_losses(vgg, pairs, perceptual_form=form)[:, 1]
        torch.testing.assert_close(column, loss(x, y), rtol=1e-3, atol=0)
    a, b = x["relu2_1"], y["relu2_1"]
    for form, loss in (("mean", contextual), ("literal", contextual_literal)):
        for size in (8, 32):
            small = [resize(features, size, "area") for features in (a, b)]
            column = first_losses(vgg, pairs, context_form=form, context_size=size)[:, 2]
            torch.testing.assert_close(column, loss(*small), rtol=1e-3, atol=1e-4)


def test_the_centre_of_the_contextual_loss_is_of_the_views_of_one_pair(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    changes = {"context_size": 8, "augment": True, "contrastive_weight": 0.0, "perceptual_weight": 0.0}
    by_image, by_batch = (first_losses(vgg, pairs, context_centre=c, **changes)[:, 2] for c in ("image", "batch"))
    assert (by_image - by_batch).abs().min() > 1e-5  # two views of a pair have two means
    for i in range(2):
        one = (pairs[0][i : i + 1], pairs[1][i : i + 1])
        alone = FineTuner(*one, vgg, WARP, settings(context_centre="batch", **changes), [1 + i]).step()
        torch.testing.assert_close(alone[:, 2], by_batch[i : i + 1], rtol=1e-4, atol=1e-5)
    still = {**changes, "augment": False}
    once = [first_losses(vgg, pairs, context_centre=c, **still)[:, 2] for c in ("image", "batch")]
    torch.testing.assert_close(*once)  # one view: a batch of one


def test_matching_takes_the_concatenated_feature(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    config = WARP.model_copy(update={"normalise": "concatenated"})
    units = [hierarchical_features([*vgg(images, WARP.layers).values()], 16, by="concatenated") for images in pairs]
    small = soft_warp_reference(*units, resize(pairs[1], 16, "area"), 100.0)
    expected = resize(small, 64)
    torch.testing.assert_close(warp_exemplar(*pairs, vgg, config), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(FineTuner(*pairs, vgg, config, settings(), [1, 2]).warp(), expected, rtol=0, atol=1e-4)
    assert (warp_exemplar(*pairs, vgg, WARP) - expected).abs().max() > 0.05


def test_everything_to_the_letter_learns(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    letter = {
        "contrastive_form": "literal",
        "perceptual_form": "literal",
        "perceptual_weight": 1e-3,
        "context_form": "literal",
        "context_centre": "batch",
        "context_size": 16,
    }
    config = WARP.model_copy(update={"normalise": "concatenated"})
    found = fine_tuned_warp(*pairs, vgg, config, settings(iterations=25, **letter), [1, 2])
    total = found.losses[:, :, OEFT_TERMS.index("total")]
    assert (total[:, -1] < 0.95 * total[:, 0]).all()


# ------------------------------------------------------------------ another phi


def test_phi_may_be_another_network(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    other = tiny_vgg("vgg16-imagenet", seed=9)
    warp, layers = pieces(vgg, pairs)[2], ["relu1_1", "relu2_1"]
    column = first_losses(vgg, pairs, style_backbone="vgg16-imagenet", style=other)[:, 1]
    torch.testing.assert_close(column, gram_relative(other(warp, layers), other(pairs[1], layers)), rtol=1e-3, atol=0)
    assert (column - first_losses(vgg, pairs)[:, 1]).abs().min() > 1e-3
    assert not any(buffer.requires_grad for buffer in other.buffers())
    with pytest.raises(ConfigError, match=r"oeft\.style_backbone = vgg16-imagenet was not loaded"):
        first_losses(vgg, pairs, style_backbone="vgg16-imagenet")
    augmented = settings(style_backbone="vgg16-imagenet", augment=True)
    assert torch.isfinite(FineTuner(*pairs, vgg, WARP, augmented, [1, 2], style=other).step()).all()


# ------------------------------------------------------------------ regularization


def test_the_cycle_by_loops(pairs: tuple[Tensor, Tensor]) -> None:
    source, target = (torch.nn.functional.normalize(torch.randn(1, 5, 4, 4, dtype=torch.float64), dim=1) for _ in "ab")
    exemplar = pairs[1][:1].double()
    colours = resize(exemplar, 4, "area")[0].flatten(1)
    m = source[0].flatten(1).T @ target[0].flatten(1)
    there = torch.stack([sum(torch.softmax(20 * m[u], 0)[v] * colours[:, v] for v in range(16)) for u in range(16)])
    back = torch.stack([sum(torch.softmax(20 * m[:, v], 0)[u] * there[u] for u in range(16)) for v in range(16)])
    expected = (back.T - colours).abs().mean()
    found = cycle(source, target, exemplar, WARP.model_copy(update={"temperature": 20.0}))
    torch.testing.assert_close(found, expected[None])
    sharp = WARP.model_copy(update={"temperature": 1e4})
    assert cycle(source, source, exemplar, sharp).item() < 1e-6  # a picture comes back from itself
    assert cycle(source, torch.zeros_like(target), exemplar, sharp).item() > 0.1


def test_the_cycle_has_the_gradients_of_finite_differences() -> None:
    random = torch.Generator().manual_seed(0)
    source, target = (torch.randn(1, 3, 2, 2, dtype=torch.float64, generator=random).requires_grad_() for _ in "ab")
    exemplar = torch.randn(1, 3, 2, 2, dtype=torch.float64, generator=random)
    config = WARP.model_copy(update={"temperature": 2.0})
    assert torch.autograd.gradcheck(lambda x, y: cycle(x, y, exemplar, config), (source, target))


def test_drift_by_hand(vgg: VGG) -> None:
    for shared in (False, True):
        net = Branches(vgg, ["relu1_2"], (), "conv1_2", pairs=2, shared=shared)
        assert net.drift().tolist() == [0, 0]
        weight, bias = vgg.get_buffer("weight1_2"), vgg.get_buffer("bias1_2")
        with torch.no_grad():
            net._weights["source"]["conv1_2"][0][6:] *= 1.5  # of the second pair
        size, moved = weight.square().sum() + bias.square().sum(), 0.25 * weight.square().sum()
        expected = moved / size / (1 if shared else 2)
        torch.testing.assert_close(net.drift().detach(), torch.stack([torch.zeros(()), expected]))


@pytest.mark.parametrize("kind", ["cycle", "weights"])
def test_regularization_is_a_column_of_its_own(vgg: VGG, pairs: tuple[Tensor, Tensor], kind: str) -> None:
    on = {"regularization": kind, "regularization_weight": 5.0}
    config = RunConfig(warp=WARP.model_copy(update={"method": "oeft"}), oeft=settings(iterations=3, **on))
    found = warp_pair(pairs[0][:1], pairs[1][:1], vgg, config, seed=1)
    losses = torch.from_numpy(found.arrays["oeft_loss"])
    assert config.warp_arrays() == {"oeft_loss": ((3, 5), "float32")} and tuple(losses.shape) == (3, 5)
    assert config.oeft.terms() == (*OEFT_TERMS, "regularization")
    torch.testing.assert_close(losses[:, 3], losses[:, :3].sum(1) + 5 * losses[:, 4], rtol=1e-4, atol=1e-5)
    assert losses[0, 4] == 0 if kind == "weights" else losses[0, 4] > 0.01
    plain = RunConfig(warp=config.warp, oeft=settings(iterations=3))
    without = warp_pair(pairs[0][:1], pairs[1][:1], vgg, plain, seed=1).arrays["oeft_loss"]
    assert torch.equal(losses[0, :3], torch.from_numpy(without)[0, :3])


@pytest.mark.slow
def test_regularization_acts(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    def after(kind: str, weight: float) -> tuple[Tensor, Tensor]:
        """drift and cycle after some iterations."""
        tuner = FineTuner(*pairs, vgg, WARP, settings(regularization=kind, regularization_weight=weight), [1, 2])
        for _ in range(15):
            losses = tuner.step()
        return tuner._net.drift().detach(), losses[:, -1]

    tight, loose = after("weights", 1e4), after("weights", 1e-6)
    assert (tight[0] < 0.3 * loose[0]).all()
    assert (after("cycle", 100.0)[1] < after("cycle", 1e-6)[1]).all()


def test_the_source_and_its_copies_keep_their_batch_order(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    """With augmentation the terms of pair i are the mean over its own views."""
    on = {"augment": True, "regularization": "cycle", "regularization_weight": 1.0, "context_centre": "batch"}
    together = FineTuner(*pairs, vgg, WARP, settings(**on), [1, 2]).step()
    for i in range(2):
        alone = FineTuner(pairs[0][i : i + 1], pairs[1][i : i + 1], vgg, WARP, settings(**on), [1 + i]).step()
        torch.testing.assert_close(alone[0], together[i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "overrides",
    [
        {"oeft.regularization": "cycle"},
        {"oeft.regularization_weight": 1.0},
        {"oeft.regularization": "weights", "oeft.regularization_weight": 0.0},
    ],
)
def test_regularization_without_effect_is_refused(overrides: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"regularization_weight above 0 exactly when regularization is not none"):
        load_config("embedded", overrides)


# ------------------------------------------------------------------ what earlier versions had

BEFORE = {
    "iterations": 25, "learning_rate": 2e-4, "betas": [0.5, 0.999], "contrastive_weight": 1.0,
    "perceptual_weight": 1.0, "context_weight": 0.1, "tau": 0.07, "positions": 256,
    "perceptual_layers": ["relu1_2", "relu2_2", "relu3_3"], "context_layers": ["relu3_3"], "context_band_width": 0.5,
    "train_from": "conv4_1", "shared": False, "augment": True, "image_size": 256, "feature_size": 32,
}  # fmt: skip
"""The section as the previous version wrote it into run.json."""


def test_a_run_of_the_version_before_announces_the_arrays_it_has() -> None:
    old = RunConfig.model_validate({"warp": {"method": "oeft"}, "oeft": BEFORE})
    assert old.warp_arrays() == {"oeft_loss": ((25, 4), "float32")}
    assert OEFT_TERMS == ("contrastive", "perceptual", "contextual", "total") == old.oeft.terms()
    for name in ("embedded", "quick"):  # and these profiles still compute what it computed
        kept = load_config(name).oeft.model_dump(mode="json")
        assert {key: kept[key] for key in BEFORE if "size" not in key} == {
            key: value for key, value in BEFORE.items() if "size" not in key
        }
        new = {key: value for key, value in kept.items() if key not in BEFORE}
        assert new == {
            "regularization": "none", "regularization_weight": 0.0, "contrastive_form": "mean",
            "contrastive_features": "unit", "style_backbone": "warp", "perceptual_form": "relative",
            "context_form": "mean", "context_centre": "image", "context_size": 32,
        }  # fmt: skip
        assert load_config(name).warp.normalise == "layers"
