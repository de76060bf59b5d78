"""The sizes and filters through which results are compared with pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mgi.config import RunConfig
from mgi.degradations import with_luminance
from mgi.images import to_float, to_uint8
from mgi.pairs import Hypothesis
from mgi.profiles import load_config
from mgi.translators import Lane, load_translator
from mgi.translators.inversion.comparison import Comparison


def config(task: str = "invert", **inversion: object) -> RunConfig:
    overrides = {f"inversion.{key}": value for key, value in inversion.items()}
    return load_config("quick", {"task": task, **overrides})


def picture(side: int = 96, seed: int = 0) -> np.ndarray:
    """A smooth coloured picture."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def sizes(settings: RunConfig, resolution: int) -> tuple[int, int, int]:
    found = Comparison.of(settings, resolution, "cpu")
    return found.picture, found.rows, found.images


def test_pictures_are_compared_at_the_size_of_the_warp_or_at_full_size() -> None:
    assert sizes(config(), 64) == (128, 64, 64), "a warp larger than the images is averaged down"
    assert sizes(config(), 1024) == (128, 128, 128)
    assert sizes(config(picture_size="full"), 1024) == (1024, 1024, 1024)
    assert sizes(config("translate", picture_size="full"), 1024) == (128, 128, 128), "warps have their own size"


def test_filters_reduce_in_one_go_and_masks_do_not() -> None:
    assert sizes(config(downscale="bicubic"), 1024) == (128, 128, 1024)
    assert sizes(config(downscale="bilinear", degradation="down4"), 1024) == (128, 128, 1024)
    assert sizes(config(downscale="bicubic", degradation="mask"), 1024) == (128, 128, 128)
    for degradation in ("none", "gray", "down4", "mask"):
        found = Comparison.of(config(downscale="bicubic", degradation=degradation), 1024, "cpu")
        rows = 32 if degradation == "down4" else 128
        assert found.operator([3])(torch.zeros(1, 3, found.images, found.images)).shape[-1] == rows
        assert found.observer([3])(torch.zeros(1, 3, 128, 128)).shape[-1] == rows


def test_the_observation_of_a_shown_picture_is_what_was_observed() -> None:
    """Pixels of a small observation are shown as squares: taking their means gives it back, whatever the filter."""
    found = Comparison.of(config(downscale="bicubic", degradation="down4"), 1024, "cpu")
    small = torch.rand(1, 3, 32, 32)
    shown = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(found.operator([0]).shrink(found.target(shown)), small)


def test_luminance_is_merged_as_pillow_does() -> None:
    grey, coloured = picture(seed=1), picture(seed=2)
    y, _, _ = Image.fromarray(grey).convert("YCbCr").split()
    _, cb, cr = Image.fromarray(coloured).convert("YCbCr").split()
    expected = np.asarray(Image.merge("YCbCr", (y, cb, cr)).convert("RGB")).astype(int)
    found = to_uint8(with_luminance(to_float(coloured), to_float(grey)))[0].astype(int)
    difference = np.abs(found - expected)
    assert difference.max() <= 4 and difference.mean() < 1.5, "Pillow cuts YCbCr to 8 bits, twice"
    assert np.abs(coloured.astype(int) - expected).max() > 20


def test_a_larger_result_keeps_its_detail_and_takes_the_means() -> None:
    image, seen = to_float(picture(96, seed=2)), to_float(picture(48, seed=1))
    merged = with_luminance(image, seen)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)

    def luminance(x: torch.Tensor) -> torch.Tensor:
        return (x * weights).sum(1, keepdim=True)

    torch.testing.assert_close(torch.nn.functional.avg_pool2d(luminance(merged), 2), luminance(seen))
    torch.testing.assert_close(merged - luminance(merged), image - luminance(image))


@pytest.mark.slow
def test_a_colorization_has_the_luminance_of_the_grey_picture() -> None:
    method = load_translator(
        config(degradation="gray", merge="luminance", steps=2, warm_start=0, hypotheses='["L04N02"]')
    )
    whole = picture(method.picture_size)
    seen = method.observe(whole, seed=1)
    lane = Lane("p", seen.warp, Hypothesis(4, 2), seed=0, truth=whole, observation_seed=1)
    (result,) = method.invert([lane])
    plain = method.render(result.arrays, lane.hypothesis)
    merged = method.render(result.arrays, lane.hypothesis, seen=seen.warp)
    small = np.asarray(Image.fromarray(seen.warp).resize((64, 64), Image.Resampling.BOX).convert("L")).astype(int)
    error = np.abs(np.asarray(Image.fromarray(merged).convert("L")).astype(int) - small)
    assert np.median(error) <= 2, "clipped colours alone are off"
    assert np.median(np.abs(np.asarray(Image.fromarray(plain).convert("L")).astype(int) - small)) > 5


@pytest.mark.slow
def test_pictures_are_kept_at_full_size_where_asked() -> None:
    method = load_translator(config(picture_size="full", steps=2, warm_start=0, hypotheses='["L04N02"]'))
    assert method.picture_size == 64
    seen = method.observe(picture(64), seed=1)
    assert seen.warp.shape == (64, 64, 3)
    (result,) = method.invert([Lane("p", seen.warp, Hypothesis(4, 2), seed=0)])
    assert result.failed is None and np.isfinite(result.measures["l2_after"])
