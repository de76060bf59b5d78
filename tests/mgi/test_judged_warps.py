"""Warps that say how far they can be trusted, and inversions that listen: options of `warp` and `inversion`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import prior_of, settings, tiny_stylegan2
from tiny_features import smooth_pictures, tiny_vgg

from mgi.config import ConfigError, RunConfig, Warp
from mgi.correspondence.dense import match, shifted_cells
from mgi.correspondence.matching import blend_cells, overlapping_cells, plain_units
from mgi.correspondence.warping import warp_pair
from mgi.features import load_backbone
from mgi.inversion.objective import Objective
from mgi.inversion.solver import LaneState
from mgi.inversion.spaces import build_space
from mgi.losses import l2
from mgi.pairs import Hypothesis
from mgi.profiles import load_config
from mgi.translators.descriptors import descriptor_name, load_descriptor
from mgi.translators.inversion.compatibility import GeneratorFacts, problems
from mgi.weights import path

DUAL: dict[str, Any] = {"layers": ("relu1_2", "relu2_2"), "feature_size": 16, "image_size": 64, "matching": "dual"}
SHIFTED = DUAL | {"window": 2, "colours": "shifted"}


class Said:
    """A descriptor that says a picture's own colours."""

    name, unit, layers = "said", 1.0, ("generator",)

    def channels(self, layer: str) -> int:
        return 3

    def __call__(self, images: torch.Tensor, layers: object) -> dict[str, torch.Tensor]:
        return {"generator": images}


# Warps


def test_whole_places_give_whole_cells() -> None:
    pictures = torch.rand(2, 3, 32, 32)
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    places = torch.stack([rows, columns])[None].expand(2, -1, -1, -1)
    torch.testing.assert_close(shifted_cells(pictures, places, 8), overlapping_cells(pictures, 8), rtol=0, atol=1e-5)


def test_places_between_cells_move_the_picture_by_less_than_a_cell() -> None:
    picture = F.avg_pool2d(torch.rand(1, 3, 38, 38), 7, 1)
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    moved = blend_cells(shifted_cells(picture, torch.stack([rows, columns + 0.75])[None], 8), 32)
    torch.testing.assert_close(moved[..., :24], picture[..., 3:27], rtol=0, atol=1e-5)


def test_a_picture_warped_to_itself_is_itself() -> None:
    (picture, _), config = smooth_pictures(1), RunConfig(warp=Warp(**SHIFTED))
    found = warp_pair(picture, picture, tiny_vgg(), config, seed=0)
    assert (found.warp - picture).abs().mean() < 0.04
    assert found.arrays["confidence"].shape == (16, 16) and found.arrays["confidence"].dtype == np.uint8
    assert float(found.info["matched_share"]) > 0.7  # flat places suit each other as well
    shape, kind = config.warp_arrays()["confidence"]
    assert shape == (16, 16) and kind == "uint8"


def test_mixed_is_the_weighted_mean_of_both_products() -> None:
    source, exemplar = smooth_pictures(1)
    network, share = tiny_vgg(), 0.6
    config = RunConfig(warp=Warp(**SHIFTED, descriptor="mixed", descriptor_share=share))
    found = warp_pair(source, exemplar, network, config, seed=0, descriptor=Said())
    units = [plain_units(images, network, config.warp) for images in (source, exemplar)]
    colours = [F.interpolate(x, size=16, mode="bilinear", antialias=True) for x in (source, exemplar)]
    colours = [F.normalize(x - x.mean((2, 3), keepdim=True), dim=1) for x in colours]
    both = [torch.cat([a * (1 - share) ** 0.5, b * share**0.5], 1) for a, b in zip(units, colours, strict=True)]
    expected = match(both[0], both[1], 100.0, window=2)
    assert found.info["matched_share"] == pytest.approx(float(expected.matched_share))
    alone = warp_pair(source, exemplar, network, RunConfig(warp=Warp(**SHIFTED)), seed=0)
    assert (alone.warp - found.warp).abs().max() > 0.05


def test_auto_is_vgg_without_a_descriptor_and_mixed_with_one() -> None:
    source, exemplar = smooth_pictures(1)
    vgg, mixed, auto = (
        RunConfig(warp=Warp(**SHIFTED, descriptor=kind))  # type: ignore[arg-type]
        for kind in ("vgg", "mixed", "auto")
    )
    run = [
        warp_pair(source, exemplar, tiny_vgg(), config, seed=0, descriptor=said).warp
        for config, said in ((vgg, None), (auto, None), (mixed, Said()), (auto, Said()))
    ]
    torch.testing.assert_close(run[0], run[1])
    torch.testing.assert_close(run[2], run[3])
    with pytest.raises(ConfigError, match="needs a descriptor"):
        warp_pair(source, exemplar, tiny_vgg(), mixed, seed=0)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"window": 2}, "matching = dual"),
        ({"colours": "shifted"}, "takes one place per match"),
        ({"colours": "shifted", "matching": "dual"}, "a window above 0"),
        ({"matching": "dual", "feature_size": 128}, "at most 96, found 128"),
    ],
)
def test_settings_that_cannot_work_together(section: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Warp(**section)


def test_which_descriptor_a_configuration_uses(tmp_path: Path) -> None:
    assert descriptor_name(load_config("embedded")) == "descriptor-mobile-stylegan-ffhq"
    assert descriptor_name(load_config("quick")) == ""
    other = {"generator": str(tmp_path / "mine.pth")}
    assert descriptor_name(load_config("embedded", other)) == ""
    with pytest.raises(ConfigError, match=r"none ships for .*mine.pth; make one with `mgi train descriptor"):
        descriptor_name(load_config("embedded", other | {"warp.descriptor": "mixed"}))


def test_a_shipped_descriptor_is_a_feature_network_of_the_zoo() -> None:
    network = load_backbone("descriptor-mobile-stylegan-ffhq")
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = network(image, ["generator"])["generator"]
    assert found.shape == (1, network.channels("generator"), 64, 64) and found.isfinite().all()


def test_a_descriptor_of_another_generator_is_refused() -> None:
    file = path("descriptor-mobile-stylegan-ffhq")
    config = load_config("embedded", {"generator": "kaokore", "warp.descriptor_file": str(file)})
    with pytest.raises(ConfigError, match=r"learnt from mobile-stylegan-ffhq .*found generator kaokore"):
        load_descriptor(config, lambda name: tiny_vgg(name), "cpu")


# Inversions


def test_weights_decide_which_places_count() -> None:
    x, target = torch.rand(1, 3, 8, 8, requires_grad=True), torch.rand(1, 3, 8, 8)
    weights = torch.cat([torch.full((1, 1, 8, 4), 2.0), torch.zeros(1, 1, 8, 4)], dim=3)
    lanes = [{"codes": torch.zeros(1, 4)}]
    loss, _ = Objective(target, settings(), None, weights=weights)(x, lanes)
    torch.testing.assert_close(loss, l2(x[..., :4], target[..., :4]))
    loss.sum().backward()
    assert x.grad is not None and (x.grad[..., 4:] == 0).all() and (x.grad[..., :4] != 0).any()


@pytest.mark.parametrize("norm", ["relative", "mganprior", "mse"])
def test_equal_weights_change_nothing(norm: str) -> None:
    x, target = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    config = settings(
        perceptual_weight=1.0, l1_weight=0.5, perceptual_layers=["relu1_2", "relu2_2"], perceptual_norm=norm
    )
    lanes = [{"codes": torch.zeros(1, 4)}] * 2
    plain, _ = Objective(target, config, tiny_vgg())(x, lanes)
    weighed, _ = Objective(target, config, tiny_vgg(), weights=torch.ones(2, 1, 8, 8))(x, lanes)
    torch.testing.assert_close(plain, weighed)
    with pytest.raises(ValueError, match="cannot"):
        settings(confidence_weight=0.5, perceptual_norm="unit")


def test_the_tail_starts_at_one_sample_and_is_pulled_back_to_it() -> None:
    generator = tiny_stylegan2()
    config = settings(tail_start="sample", tail_spread=0.5, prior_weight=1.0, pixel_weight=0.0)
    space, hypothesis = build_space(generator, config, prior_of(generator)), Hypothesis(2, 3)
    start = space.start(hypothesis, seed=4)
    tail = start["tail"]
    assert len(tail) > 1 and (tail == tail[0]).all() and 0 < float(tail.square().mean()) < 1
    assert not torch.equal(tail, space.start(hypothesis, seed=5)["tail"])
    lane = LaneState(hypothesis, 0, start)
    objective, image = Objective(torch.zeros(1, 3, 16, 16), config, None), torch.zeros(1, 3, 16, 16)
    near, _ = objective(image, [{**start, "codes": torch.zeros(3, 6)}], anchors=[lane.anchor])
    assert float(near) == pytest.approx(0.0)
    assert (build_space(generator, settings(), prior_of(generator)).start(hypothesis, 4)["tail"] == 0).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inversion.confidence_weight": 0.5}, "confidence_weight needs a warp that is judged"),
        ({"inversion.fallback": True, "warp.matching": "dual"}, "use pair_start = style-mix"),
        ({"inversion.pair_start": "style-mix"}, "needs a generator with styles and space = multi, found kaokore"),
        ({"warp.method": "oeft", "warp.descriptor": "generator"}, "use mixed or vgg"),
    ],
)
def test_options_that_would_do_nothing_are_refused(changes: dict[str, Any], reason: str) -> None:
    facts = GeneratorFacts("kaokore", 64, 8, styles=False, noise=False, bf16=False)
    assert any(reason in problem for problem in problems(load_config("quick", changes), facts))
