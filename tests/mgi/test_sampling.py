"""Grids of samples: what each tile shows, and what is left white."""

from __future__ import annotations

import numpy as np
import pytest
from places import GOLDEN
from torch import Tensor

from mgi.generators import GeneratorError
from mgi.sampling import sample_grid, tile_grid

PGGAN = str(GOLDEN / "pggan_mganprior.pth")


def test_a_grid_is_nearly_square_and_white_where_nothing_is() -> None:
    tiles = [np.full((2, 2, 3), shade, np.uint8) for shade in (10, 20, 30, 40, 50)]
    grid = tile_grid(tiles)
    assert grid.shape == (4, 6, 3)
    assert grid[::2, ::2, 0].tolist() == [[10, 20, 30], [40, 50, 255]]


def test_a_larger_grid_begins_with_the_smaller_one() -> None:
    few, many = sample_grid(PGGAN, 2, 7), sample_grid(PGGAN, 4, 7)  # in two columns both
    np.testing.assert_array_equal(many[: len(few)], few)
    assert (many[len(few) :] != few).any()


class Styled:
    """Shows the first three numbers of w = z / 4 + 0.5 as one colour; codes have 16 numbers."""

    z_dim, resolution = 16, 4

    def to_w(self, z: Tensor) -> Tensor:
        return z / 4 + 0.5

    def synthesize(self, w: Tensor) -> Tensor:
        return w[:, :3, None, None].expand(-1, 3, 4, 4)

    def __call__(self, z: Tensor) -> Tensor:
        return self.synthesize(self.to_w(z))


def test_truncation_moves_every_style_towards_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgi.sampling.load_generator", lambda name, device: Styled())
    whole, half, mean = (sample_grid("styled", 4, 0, psi).astype(float) for psi in (1.0, 0.5, 0.0))
    assert np.abs(mean - 191.25).max() < 2  # 0.5, of 8192 samples
    inside = (whole > 0) & (whole < 255)
    assert np.abs(half - (whole + mean) / 2)[inside].max() <= 1
    assert (whole != half).any()


def test_truncation_is_for_styles() -> None:
    with pytest.raises(GeneratorError, match="no styles to truncate"):
        sample_grid(PGGAN, 1, 0, truncation=0.5)
