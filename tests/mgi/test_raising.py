"""Targets as strong in detail as the domain."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mgi.inversion.raising import MOST, raised
from mgi.metrics.bands import band_deviations


def soft(size: int = 64) -> Tensor:
    """A picture with detail in every band, less in the finer ones."""
    torch.manual_seed(0)
    parts = [torch.randn(1, 3, size >> k, size >> k) for k in range(5)]
    larger = [torch.nn.functional.interpolate(part, size=(size, size), mode="bilinear") for part in parts]
    return sum((0.02 * (k + 1) * part for k, part in enumerate(larger)), torch.zeros(1))


def test_bands_come_near_their_goals() -> None:
    image = soft()
    before = band_deviations(image)
    goals = {rows: 1.3 * before[rows] for rows in (64, 32, 16)}
    after = band_deviations(raised(image, goals))
    for rows, goal in goals.items():
        assert after[rows] == pytest.approx(goal, rel=0.1)
    assert after[8] == pytest.approx(before[8], rel=0.15)  # coarser bands hardly change
    assert raised(image, goals).mean() == pytest.approx(float(image.mean()), abs=1e-5)


def test_what_is_strong_enough_or_has_no_goal_stays() -> None:
    image = soft()
    weaker = {rows: 0.5 * strength for rows, strength in band_deviations(image).items()}
    assert torch.allclose(raised(image, weaker), image, atol=1e-6)
    assert torch.allclose(raised(image, {}), image, atol=1e-6)
    flat = torch.full((1, 3, 32, 32), 0.2)
    assert torch.allclose(raised(flat, {32: 1.0}), flat, atol=1e-6)


def test_no_band_is_raised_beyond_the_bound() -> None:
    image = soft()
    much = raised(image, {64: 1e9})
    smaller = torch.nn.functional.avg_pool2d(image, 2)
    band = image - torch.nn.functional.interpolate(smaller, scale_factor=2, mode="bilinear")
    assert torch.allclose(much - image, (MOST - 1) * band, atol=1e-5)


def test_odd_rows_end_the_bands() -> None:
    image = soft()[:, :, :5, :5]
    assert torch.equal(raised(image, {5: 1.0}), image)
