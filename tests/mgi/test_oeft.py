"""Online fine-tuning of the correspondence, on a tiny VGG: what moves, what stays, what happens when it fails."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from tiny_features import smooth_pictures, tiny_vgg
from torch import Tensor

from mgi.config import OEFT_TERMS, ConfigError, Oeft, RunConfig, Warp
from mgi.correspondence import oeft, warp_exemplar
from mgi.correspondence.augment import affine_matrices, geometric, photometric
from mgi.correspondence.branches import Branches
from mgi.correspondence.oeft import FineTuner, fine_tuned_warp
from mgi.correspondence.warping import warp_pair
from mgi.features import VGG
from mgi.profiles import load_config, profile_names

SIZE = 64
WARP = Warp(layers=("relu1_2", "relu2_1"), feature_size=32, image_size=SIZE, colours="full", patch=3)
FAST = Oeft(
    iterations=3,
    learning_rate=1e-3,
    positions=100,
    image_size=32,
    feature_size=16,
    perceptual_weight=1.0,
    context_weight=1.0,
    perceptual_layers=("relu1_1", "relu2_1"),
    context_layers=("relu2_1",),
)


@pytest.fixture(scope="module")
def vgg() -> VGG:
    return tiny_vgg()


@pytest.fixture(scope="module")
def pairs() -> tuple[Tensor, Tensor]:
    return smooth_pictures(3)


def changed(**values: Any) -> Oeft:
    return Oeft.model_validate({**FAST.model_dump(), **values})


def test_the_copies_start_as_the_network(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    for train_from in ("conv1_1", "conv1_2", "conv2_1"):
        net = Branches(vgg, WARP.layers, ("relu2_2", "relu1_1"), train_from, pairs=3)
        trunk = net.trunk(torch.cat(pairs))  # two views of three pairs
        expected = vgg(torch.cat(pairs), ["relu1_2", "relu2_1", "relu2_2", "relu1_1"])
        for side in ("source", "exemplar"):
            for found, layer in zip(net.features(trunk, side), WARP.layers, strict=True):
                torch.testing.assert_close(found, expected[layer])
        frozen = net.frozen_features(trunk)
        assert list(frozen) == ["relu2_2", "relu1_1"]
        for layer, found in frozen.items():
            torch.testing.assert_close(found, expected[layer])


def test_before_the_first_step_the_warp_is_the_plain_one(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    tuner = FineTuner(*pairs, vgg, WARP, FAST, [0, 1, 2])
    torch.testing.assert_close(tuner.warp(), warp_exemplar(*pairs, vgg, WARP))
    tuner.step()
    assert (tuner.warp() - warp_exemplar(*pairs, vgg, WARP)).abs().max() > 1e-3


def test_the_network_itself_is_never_touched(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    before = {name: values.clone() for name, values in vgg.named_buffers()}
    fine_tuned_warp(*pairs, vgg, WARP, FAST, [0, 1, 2])
    assert all(torch.equal(values, before[name]) for name, values in vgg.named_buffers())


@pytest.mark.parametrize("settings", [{}, {"shared": True}, {"augment": False}, {"train_from": "conv2_1"}])
def test_a_pair_does_not_depend_on_its_batch(vgg: VGG, pairs: tuple[Tensor, Tensor], settings: dict[str, Any]) -> None:
    source, exemplar = pairs
    together = fine_tuned_warp(source, exemplar, vgg, WARP, changed(**settings), [5, 6, 7])
    for i in range(3):
        alone = fine_tuned_warp(source[i : i + 1], exemplar[i : i + 1], vgg, WARP, changed(**settings), [5 + i])
        torch.testing.assert_close(together.warp[i : i + 1], alone.warp, rtol=0, atol=2e-4)
        torch.testing.assert_close(together.losses[i : i + 1], alone.losses, rtol=1e-4, atol=1e-5)
        assert alone.how == [oeft.FINE_TUNED]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    source, exemplar = (images[:1] for images in pairs)
    first, again, other = (fine_tuned_warp(source, exemplar, vgg, WARP, FAST, [seed]) for seed in (3, 3, 4))
    assert torch.equal(first.warp, again.warp) and torch.equal(first.losses, again.losses)
    assert not torch.equal(first.losses, other.losses)


def test_fine_tuning_lowers_its_loss(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    losses = fine_tuned_warp(*pairs, vgg, WARP, changed(iterations=30, augment=False), [0, 1, 2]).losses
    assert losses.shape == (3, 30, len(OEFT_TERMS))
    total = losses[..., -1]
    torch.testing.assert_close(total, losses[..., :3].sum(-1))  # all weights are 1
    assert (total[:, -1] < 0.95 * total[:, 0]).all()


def test_every_loss_can_be_switched_off(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    names = ("contrastive_weight", "perceptual_weight", "context_weight")
    for off, name in enumerate(names):
        losses = fine_tuned_warp(*pairs, vgg, WARP, changed(**{name: 0.0, "iterations": 1}), [0, 1, 2]).losses[:, 0]
        assert torch.isnan(losses).any(0).tolist() == [off == column for column in range(4)]
        torch.testing.assert_close(losses[:, 3], losses[:, :3].nansum(1))
    weighted = fine_tuned_warp(*pairs, vgg, WARP, changed(perceptual_weight=3.0, iterations=1), [0, 1, 2]).losses[:, 0]
    torch.testing.assert_close(weighted[:, 3], weighted[:, 0] + 3 * weighted[:, 1] + weighted[:, 2])


def test_both_sides_learn_and_share_where_asked(vgg: VGG) -> None:
    count = {shared: Branches(vgg, WARP.layers, (), "conv1_2", 2, shared).parameters() for shared in (False, True)}
    assert len(count[False]) == 2 * len(count[True]) == 8
    assert [tuple(tensor.shape) for tensor in count[True]] == [(12, 6, 3, 3), (12,), (16, 6, 3, 3), (16,)]


def test_every_weight_gets_a_gradient_and_the_trunk_none(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    tuner = FineTuner(*pairs, vgg, WARP, changed(train_from="conv1_2"), [0, 1, 2])
    tuner.step()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in tuner._net.parameters())
    assert not any(values.requires_grad for values in vgg.buffers())


def test_a_loss_that_explodes_restarts_and_then_keeps_the_plain_warp(
    vgg: VGG, pairs: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pair 0 always fails, pair 1 only at the full step, pair 2 never: each ends as it should next to the others."""
    rates: list[float] = []
    start, plain_step = FineTuner.__init__, FineTuner.step

    def noted(self: FineTuner, *arguments: Any) -> None:
        start(self, *arguments)
        seeds, rate, _ = arguments[-3:]
        rates.append(rate)
        self.fails = {seed for seed in seeds if seed == 0 or (seed == 1 and rate > 5e-4)}
        self.seeds = seeds

    def faulty(self: FineTuner) -> Tensor:
        losses = plain_step(self)
        for row, seed in enumerate(self.seeds):
            if seed in self.fails:
                losses[row, -1] = float("inf")
        return losses

    monkeypatch.setattr(FineTuner, "__init__", noted)
    monkeypatch.setattr(FineTuner, "step", faulty)
    found = fine_tuned_warp(*pairs, vgg, WARP, FAST, [0, 1, 2])
    assert found.how == [oeft.PLAIN, oeft.RESTARTED, oeft.FINE_TUNED]
    assert rates == [1e-3, 2.5e-4]
    plain = warp_exemplar(*pairs, vgg, WARP)
    torch.testing.assert_close(found.warp[0], plain[0])
    assert (found.warp[1:] - plain[1:]).abs().amax((1, 2, 3)).min() > 1e-4
    assert torch.isfinite(found.losses[1:]).all()


def test_a_step_that_is_far_too_large_ends_in_the_plain_warp(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    """Without any stub: weights overflow, every loss after the first is NaN, and none of it reaches the result."""
    source, exemplar = (images[:1] for images in pairs)
    found = fine_tuned_warp(source, exemplar, vgg, WARP, changed(learning_rate=1e30), [0])
    assert found.how == [oeft.PLAIN]
    torch.testing.assert_close(found.warp, warp_exemplar(source, exemplar, vgg, WARP))
    assert found.losses.shape == (1, 3, 4) and torch.isnan(found.losses[0, -1]).any()


def test_progress_is_told(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    seen: list[tuple[int, int, float]] = []
    losses = fine_tuned_warp(*pairs, vgg, WARP, FAST, [0, 1, 2], lambda *step: seen.append(step)).losses
    assert [(step, steps) for step, steps, _ in seen] == [(1, 3), (2, 3), (3, 3)]
    assert seen[1][2] == pytest.approx(losses[:, 1, -1].mean().item())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_from": "conv2_2"}, r"oeft.train_from = conv2_2 leaves nothing to fine-tune.*conv1_1 to conv2_1"),
        ({"train_from": "relu1_1"}, "oeft.train_from = relu1_1"),
    ],
)
def test_what_cannot_be_fine_tuned_is_named(
    vgg: VGG, pairs: tuple[Tensor, Tensor], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        FineTuner(*pairs, vgg, WARP, changed(**settings), [0, 1, 2])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"oeft.image_size": 100, "oeft.feature_size": 64}, "image_size that feature_size = 64 divides"),
        ({"oeft.betas": [0.5, 1.0]}, "oeft.betas: .*from 0 to below 1"),
        (
            {"oeft.contrastive_weight": 0, "oeft.perceptual_weight": 0, "oeft.context_weight": 0},
            "at least one of contrastive_weight",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("embedded", overrides)


def test_profiles_hold_what_the_paper_states() -> None:
    for name in ("paper-celebahq", "paper-ffhq"):
        settings = load_config(name).oeft
        assert (settings.iterations, settings.learning_rate, settings.betas) == (200, 1e-4, (0.5, 0.999))
        assert (settings.tau, settings.augment, settings.shared, settings.contrastive_weight) == (0.07, True, False, 1)
        assert (settings.image_size, settings.train_from) == (256, "conv1_1")
    assert all(load_config(name).warp.method == "plain" for name in profile_names())


def test_what_a_configuration_asks_for_is_what_is_kept(vgg: VGG, pairs: tuple[Tensor, Tensor]) -> None:
    source, exemplar = (images[:1] for images in pairs)
    plain = RunConfig(warp=WARP, oeft=FAST)
    found = warp_pair(source, exemplar, vgg, plain, seed=4)
    assert (found.info, found.arrays, plain.warp_arrays()) == ({"warp_method": "plain"}, {}, {})
    torch.testing.assert_close(found.warp, warp_exemplar(source, exemplar, vgg, WARP))

    tuned = plain.model_copy(update={"warp": WARP.model_copy(update={"method": "oeft"})})
    found = warp_pair(source, exemplar, vgg, tuned, seed=4)
    announced = tuned.warp_arrays()
    assert {name: (value.shape, value.dtype.name) for name, value in found.arrays.items()} == announced
    assert found.info["warp_method"] == oeft.FINE_TUNED and found.info["oeft_seconds"] > 0
    assert torch.equal(found.warp, fine_tuned_warp(source, exemplar, vgg, WARP, FAST, [4]).warp)


def test_only_a_vgg_or_a_resnet_is_fine_tuned(pairs: tuple[Tensor, Tensor]) -> None:
    class Other:
        name = "other"

    config = RunConfig(warp=WARP.model_copy(update={"method": "oeft"}), oeft=FAST)
    with pytest.raises(ConfigError, match=r"fine-tunes a VGG or a ResNet, found other; use another warp\.backbone"):
        warp_pair(*pairs, Other(), config, seed=0)  # type: ignore[arg-type]


# ------------------------------------------------------------------ augmentation


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("change", [photometric, geometric])
def test_a_pairs_augmentation_depends_on_its_own_seed_only(change: Any, pairs: tuple[Tensor, Tensor]) -> None:
    images = pairs[0]
    together = change(images, generators(1, 2, 3))
    torch.testing.assert_close(together[1:2], change(images[1:2], generators(2)))
    assert together.shape == images.shape and together.abs().max() <= 1
    assert ((together - images).abs().mean((1, 2, 3)) > 0.02).all()
    assert not torch.equal(change(images, generators(4, 2, 3))[0], together[0])


def test_colours_change_on_the_spot_and_geometry_keeps_colours() -> None:
    two_colours = torch.full((1, 3, 16, 16), -0.5)
    two_colours[:, 0, :, 8:] = 0.5
    moved = geometric(two_colours, generators(3))
    assert moved.min() >= -0.5 - 1e-5 and moved.max() <= 0.5 + 1e-5
    assert (moved[:, 1:] + 0.5).abs().max() < 1e-5  # the other channels are constant and stay so
    coloured = photometric(two_colours.repeat(1, 1, 4, 4), generators(3))
    halves = coloured.unflatten(3, (-1, 8))[0, 0, :, 0].mean(), coloured.unflatten(3, (-1, 8))[0, 0, :, 1].mean()
    assert halves[1] - halves[0] > 0.2  # the edge stays where it was


def test_the_affine_matrix_by_hand() -> None:
    torch.testing.assert_close(affine_matrices(torch.zeros(2, 5)), torch.eye(2, 3).expand(2, -1, -1))
    (matrix,) = affine_matrices(torch.tensor([[1.0, 0.0, 0.0, 1.0, -0.5]]))
    torch.testing.assert_close(matrix, torch.tensor([[1.25, 0.0, 0.2], [0.0, 1.25, -0.1]]))
    (turned,) = affine_matrices(torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]))
    assert torch.linalg.det(turned[:, :2]).item() == pytest.approx(1.0)
    assert turned[0, 0].item() == pytest.approx(0.9659258)


@pytest.mark.slow
def test_the_library_needs_no_pipeline() -> None:
    code = (
        "import sys, mgi.correspondence.oeft; "
        "print([name for name in ('prefect', 'dask', 'zarr', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
