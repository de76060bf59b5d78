"""Matching in both directions: held to its plain twin, and does what it is for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgi.correspondence import normalise, soft_warp
from mgi.correspondence.dense import MATCHED, match, match_reference, near_best, similarity, squared_distances


def units(seed: int, rows: int = 9, columns: int = 9, batch: int = 2) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return normalise(torch.randn(batch, 12, rows, columns, generator=random))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    patch=st.sampled_from([1, 3]),
    dual=st.booleans(),
    position_weight=st.sampled_from([0.0, 0.3]),
    window=st.sampled_from([0, 1, 2]),
    columns=st.integers(5, 9),
)
def test_the_fast_path_is_its_plain_twin(
    seed: int, patch: int, dual: bool, position_weight: float, window: int, columns: int
) -> None:
    source, target = units(seed), units(seed + 1, 7, columns)
    arguments = (20.0, patch, dual, position_weight, window)
    fast, plain = match(source, target, *arguments), match_reference(source, target, *arguments)
    torch.testing.assert_close(fast.weights, plain.weights, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(fast.confidence, plain.confidence, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(fast.weights.sum(2), torch.ones(2, 81))


@pytest.mark.parametrize("patch", [1, 3])
def test_without_its_options_it_is_equation_6(patch: int) -> None:
    source, target, colours = units(1), units(2), torch.rand(2, 5, 9, 9)
    found = match(source, target, 30.0, patch, dual=False)
    torch.testing.assert_close(found.colours(colours), soft_warp(source, target, colours, 30.0, patch))


def test_a_picture_is_matched_with_itself_everywhere() -> None:
    unit = units(3, 64, 64, batch=1)
    found = match(unit, unit, 100.0)
    assert float(found.confidence.min()) > 0.99 and float(found.matched_share) == 1
    assert (found.weights.argmax(2) == torch.arange(64 * 64)).all()


def test_what_the_exemplar_lacks_is_not_matched() -> None:
    """Its left half is the source's; the other shows something else."""
    unit, other = units(4, 64, 64, batch=1), units(5, 64, 64, batch=1)
    target = torch.cat([unit[..., :32], other[..., 32:]], dim=3)
    confidence = match(unit, target, 20.0).confidence
    assert float(confidence[..., :31].mean()) > 0.95 and float(confidence[..., 34:].mean()) < 0.7 * MATCHED


def test_both_sides_must_suit_each_other() -> None:
    """Two of the source's positions suit the same of the exemplar's; the worse of them takes its second choice."""
    target = torch.eye(3).view(1, 3, 1, 3)
    source = torch.stack([target[0, :, 0, 0], torch.tensor([0.75, 0.66, 0.0])], dim=1).view(1, 3, 1, 2)
    rows = match(source, target, 30.0, dual=False).weights
    both = match(source, target, 30.0, dual=True).weights
    assert rows[0, 1].argmax() == 0 and both[0, 1].argmax() == 1 and both[0, 0].argmax() == 0


def test_distances_are_in_sides_of_the_picture() -> None:
    unit = torch.zeros(1, 1, 4, 8)
    distances = squared_distances(unit, unit)
    assert distances[0, 7] == pytest.approx((7 / 8) ** 2) and distances[0, 24] == pytest.approx((3 / 4) ** 2)


def test_candidates_far_from_the_best_get_no_weight() -> None:
    source, target = units(6), units(7)
    assert (match(source, target, 5.0, window=1).weights > 0).sum(2).max() <= 9
    near = near_best(similarity(source, target), target.shape[-2:], 1)
    assert int(near.sum(2).min()) >= 4 and int(near.sum(2).max()) == 9
