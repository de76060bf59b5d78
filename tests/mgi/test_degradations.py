"""Degradations: every operator by hand, the same from the same seed, and in agreement at every size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from mgi.config import ConfigError, Inversion, parse_degradation
from mgi.degradations import build, free_form, rain
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


def test_a_mask_of_one_colour_is_refused(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    with pytest.raises(ConfigError, match="all one colour"):
        build(f"mask:{tmp_path / 'black.png'}", 64, [1])


def test_specifications_are_parsed_when_they_are_set() -> None:
    assert parse_degradation("down4") == ("down", "4")
    assert parse_degradation("mask:a:b.png") == ("mask", "a:b.png")
    assert parse_degradation("gray") == ("gray", "")
    for spec in ("blur", "down3", "down", "mask:", "down2:x", "gray:x"):
        with pytest.raises(ValueError, match="expected none, down2"):
            Inversion(degradation=spec)
    with pytest.raises(ValueError, match="must be simulated"):
        Inversion(degradation="rain", observed="given")
