"""Degradations: every operator by hand, the same from the same seed, and in agreement at every size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mgi.config import ConfigError, Inversion, parse_degradation
from mgi.degradations import build
from mgi.degradations.masks import free_form, strokes
from mgi.degradations.rain import _salt, rain, rain_layers
from mgi.images import down

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_none_changes_nothing() -> None:
    assert torch.equal(build("none", 64, [1, 2])(IMAGES), IMAGES)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_down_is_the_mean_of_cells_at_any_size(factor: int) -> None:
    operator = build(f"down{factor}", 64, [1, 2])
    torch.testing.assert_close(operator(IMAGES), down(IMAGES, factor))
    # A generator whose images are half as large scales down half as much.
    torch.testing.assert_close(operator(down(IMAGES, 2)), down(IMAGES, factor))
    assert operator(down(IMAGES, factor)).shape[-1] == 64 // factor


def test_gray_is_luminance_in_every_channel() -> None:
    grey = build("gray", 64, [1, 2])(IMAGES)
    expected = 0.299 * IMAGES[:, 0] + 0.587 * IMAGES[:, 1] + 0.114 * IMAGES[:, 2]
    for channel in range(3):
        torch.testing.assert_close(grey[:, channel], expected)
    torch.testing.assert_close(build("gray", 64, [1, 2])(grey), grey)


def test_a_mask_hides_its_own_pictures_pixels_only() -> None:
    operator = build("mask", 64, [1, 2])
    seen = operator(IMAGES)
    for number, seed in enumerate((1, 2)):
        hole = free_form(64, seed)[0].bool()
        assert 0.15 < hole.float().mean() < 0.5
        assert (seen[number][:, hole] == 0).all()
        assert torch.equal(seen[number][:, ~hole], IMAGES[number][:, ~hole])
    assert torch.equal(operator(IMAGES[:1], [1])[0], IMAGES[0] * operator.keep[1])
    assert not torch.equal(free_form(64, 1), free_form(64, 2))
    assert torch.equal(free_form(64, 1), free_form(64, 1))


def test_strokes_are_gpens_zigzags() -> None:
    operator = build("strokes", 256, [1, 2])
    for number, seed in enumerate((1, 2)):
        hole = strokes(256, seed)
        assert torch.equal(operator.keep[number], 1 - hole) and set(hole.unique().tolist()) == {0, 1}
    assert torch.equal(strokes(256, 1), strokes(256, 1)) and not torch.equal(strokes(256, 1), strokes(256, 2))
    shares = [float(strokes(256, seed).mean()) for seed in range(60)]
    assert 0.05 < sum(shares) / 60 < 0.4 and max(shares) < 0.7
    # At another size it is the same line.
    again = torch.nn.functional.avg_pool2d(strokes(512, 1)[None], 2)[0]
    assert (again - strokes(256, 1)).abs().mean() < 0.02
    ways = build("rain-layers+strokes+down2", 64, [3])
    assert ways.keep is not None and ways.observed_rows(64) == 32


def test_rain_is_white_streaks() -> None:
    operator, streaks = build("rain", 64, [5]), rain(64, 5)
    assert 0.02 < streaks.mean() < 0.4 and streaks.max() <= 0.6
    torch.testing.assert_close(operator(IMAGES[:1]), IMAGES[:1] * (1 - streaks) + streaks)
    assert (operator(torch.ones(1, 3, 64, 64)) - 1).abs().max() < 1e-6


def test_masks_and_rain_serve_smaller_images() -> None:
    for spec in ("mask", "rain"):
        operator = build(spec, 64, [1, 2])
        flat = torch.full((2, 3, 64, 64), 0.25)
        torch.testing.assert_close(operator(down(flat, 4)), down(operator(flat), 4))


def test_a_mask_file_is_white_where_pixels_are_missing(tmp_path: Path) -> None:
    mask = Image.new("L", (32, 32))
    mask.paste(255, (0, 0, 16, 32))
    mask.save(tmp_path / "hole.png")
    seen = build(f"mask:{tmp_path / 'hole.png'}", 64, [1, 2])(IMAGES)
    assert (seen[..., :32] == 0).all()
    assert torch.equal(seen[..., 32:], IMAGES[..., 32:])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("mask:missing.png", "missing.png cannot be read"),
        ("down16", "64 rows cannot be reduced by 16"),
    ],
)
def test_what_does_not_fit_is_one_line(spec: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        build(spec, 64, [1])
    assert "\n" not in str(caught.value)


def test_no_observation_has_fewer_than_eight_rows() -> None:
    for size in (4, 8):
        with pytest.raises(ConfigError, match=f"{size} rows cannot be reduced by 2"):
            build("down2", size, [1])
    assert build("down2", 16, [1]).observed_rows(16) == 8 and build("gray", 4, [1]).observed_rows(4) == 4


def test_a_mask_of_one_colour_is_refused(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    with pytest.raises(ConfigError, match="all one colour"):
        build(f"mask:{tmp_path / 'black.png'}", 64, [1])


def test_specifications_are_parsed_when_they_are_set() -> None:
    assert parse_degradation("none") == ()
    assert parse_degradation("down4") == (("down", "4"),)
    assert parse_degradation("mask:a:b+c.png") == (("mask", "a:b+c.png"),)
    assert parse_degradation("gray") == (("gray", ""),)
    whole = parse_degradation("rain-layers+mask:a+mask.png+down2+noise5+jpeg40")
    assert [kind for kind, _ in whole] == ["rain-layers", "mask", "down", "noise", "jpeg"]
    assert [argument for _, argument in whole] == ["", "a+mask.png", "2", "5", "40"]
    for spec in ("blur", "down3", "down", "mask:", "down2:x", "gray:x", "noise0", "jpeg96", "rain+", "none+rain"):
        with pytest.raises(ValueError, match="expected none, down2"):
            Inversion(degradation=spec)
    for spec in ("down2+mask", "jpeg40+down2", "rain+rain", "gray+rain"):
        with pytest.raises(ValueError, match="expected each kind once: masks and rain"):
            Inversion(degradation=spec)
    for spec in ("rain", "rain-layers+down2"):
        with pytest.raises(ValueError, match="must be simulated"):
            Inversion(degradation=spec, observed="given")


def test_several_go_one_after_the_other() -> None:
    seeds = [3, 4]
    whole = build("rain-layers+mask+gray+down2", 64, seeds)
    rained = torch.cat([build("rain-layers", 64, [seed])(IMAGES[i : i + 1]) for i, seed in enumerate(seeds)])
    masked = torch.cat([build("mask", 64, [seed])(rained[i : i + 1]) for i, seed in enumerate(seeds)])
    # Grey is what the picture becomes, not the drops, which are grey already.
    torch.testing.assert_close(whole(IMAGES), down(build("gray", 64, seeds)(masked), 2), atol=1e-6, rtol=0)
    assert whole.observed_rows(64) == 32
    # Results at half the size go through the same obstructions.
    flat = torch.full((2, 3, 64, 64), 0.25)
    torch.testing.assert_close(whole(down(flat, 2)), whole(flat), atol=1e-6, rtol=0)


def test_layers_of_rain_are_streaks_down_the_picture() -> None:
    streaks = rain_layers(128, 3)
    assert streaks.shape == (1, 128, 128) and streaks.min() >= 0 and streaks.max() <= 1
    assert torch.equal(streaks, rain_layers(128, 3)) and not torch.equal(streaks, rain_layers(128, 4))
    means = [float(rain_layers(64, seed).mean()) for seed in range(40)]
    assert 0.02 < sum(means) / len(means) < 0.4
    # Along the fall neighbours are alike, across it they are not.
    along, across = (sum(float(rain_layers(64, s).diff(dim=d).abs().mean()) for s in range(20)) for d in (1, 2))
    assert along < 0.8 * across
    seen = build("rain-layers", 128, [3])(torch.zeros(1, 3, 128, 128))
    torch.testing.assert_close(seen[:, :1], (240 / 127.5 - 1) * streaks[None])


def test_drops_are_as_bright_as_imgaugs() -> None:
    """Its Salt: 0.5 + |Beta(1/2, 1/2) - 1/2|, whose mean is 1/2 + 1/pi; layers are 8-bit before they are blurred."""
    salt = _salt(400, 0.1, np.random.default_rng(0))
    drops = salt[salt > 0]
    assert abs(float((salt > 0).float().mean()) - 0.1) < 0.005 and drops.min() >= 0.5 and drops.max() <= 1
    assert abs(float(drops.mean()) - (0.5 + 1 / np.pi)) < 0.01 and float((drops > 0.95).float().mean()) > 0.2
    means = [float(rain_layers(256, seed).mean()) for seed in range(60)]
    assert 0.17 < sum(means) / len(means) < 0.23  # 0.16 with even brightness and undershoots


def test_noise_and_jpeg_spoil_pictures_but_not_results() -> None:
    operator = build("down2+noise10+jpeg30", 64, [1, 2])
    smooth = torch.nn.functional.interpolate(IMAGES[:, :, ::16, ::16], size=64, mode="bilinear")
    seen = operator.simulate(smooth)
    torch.testing.assert_close(operator(smooth), down(smooth, 2))
    assert seen.shape == (2, 3, 32, 32) and 0.01 < (seen - operator(smooth)).abs().mean() < 0.2
    assert torch.equal(seen, operator.simulate(smooth))
    noisy = build("noise10", 64, [1, 2]).simulate(smooth) - smooth
    assert abs(float(noisy.std()) - 10 / 127.5) < 0.01 and not torch.equal(noisy[0], noisy[1])
    coarse, fine = (build(f"jpeg{quality}", 64, [1, 2]).simulate(smooth) - smooth for quality in (5, 90))
    assert coarse.abs().mean() > 2 * fine.abs().mean() > 0
