"""Ranges, resizing and degradations."""

import numpy as np
import pytest
import torch

from mgi import images


def test_uint8_round_trip_keeps_every_level() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    as_float = images.to_float(levels)
    assert as_float.shape == (1, 3, 16, 16)
    assert as_float.min() == -1 and as_float.max() == 1
    np.testing.assert_array_equal(images.to_uint8(as_float)[0], levels)


def test_to_float_takes_batches_and_does_not_touch_its_input() -> None:
    batch = np.full((2, 4, 6, 3), 255, np.uint8)
    batch.flags.writeable = False
    assert images.to_float(batch).shape == (2, 3, 4, 6)
    assert torch.equal(images.to_float(torch.from_numpy(batch.copy())), images.to_float(batch))


@pytest.mark.parametrize("shape, kind", [((4, 4), np.uint8), ((4, 4, 4), np.uint8), ((4, 4, 3), np.float32)])
def test_to_float_refuses_what_is_not_8_bit_rgb(shape: tuple[int, ...], kind: type) -> None:
    with pytest.raises(ValueError, match="expected uint8 RGB"):
        images.to_float(np.zeros(shape, kind))


def test_to_uint8_clips() -> None:
    assert images.to_uint8(torch.tensor([-9.0, 0.0, 9.0]).view(1, 3, 1, 1)).ravel().tolist() == [0, 128, 255]


def test_down_is_the_exact_mean_of_cells() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert images.down(x, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert torch.equal(images.down(x, 2), images.resize(x, 2, "area"))
    assert torch.equal(images.down(x, 1), x)
    with pytest.raises(ValueError, match="use a factor that divides both"):
        images.down(x, 3)


def test_resize_does_not_alias_when_it_shrinks() -> None:
    stripes = torch.tensor([-1.0, 1.0]).repeat(32).expand(1, 3, 64, 64)
    assert images.resize(stripes, 8).abs().max() < 0.05


@pytest.mark.parametrize("size", [24, (16, 40), (8, 24), 16])
def test_resize_equals_the_antialiased_kernel_whatever_kernel_it_takes(size: int | tuple[int, int]) -> None:
    x = torch.randn(2, 3, 16, 16)
    plain = torch.nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
    torch.testing.assert_close(images.resize(x, size), plain)


@pytest.mark.parametrize("height, width", [(5, 8), (8, 5), (6, 6)])
def test_centre_crop_square(height: int, width: int) -> None:
    x = torch.arange(float(height * width)).view(1, 1, height, width)
    crop = images.centre_crop_square(x)
    side = min(height, width)
    assert crop.shape == (1, 1, side, side)
    top, left = (height - side) // 2, (width - side) // 2
    assert crop[0, 0, 0, 0] == x[0, 0, top, left]


def test_fit_square_makes_any_shape_enter() -> None:
    assert images.fit_square(torch.zeros(1, 3, 300, 41), 64).shape == (1, 3, 64, 64)
