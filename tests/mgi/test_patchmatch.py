"""PatchMatch on features: against its loop, against all pairs, and what gradients reach."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.systems.matching import FullMatching, cells, full
from mgi.systems.patchmatch import SparseMatching, patchmatch, patchmatch_reference, patchmatcher


def vectors(rows: int, columns: int, seed: int = 0, count: int = 1, smooth: int = 1) -> Tensor:
    """Unit vectors [B, 8, rows x columns]; neighbours are alike if `smooth` is above 1."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 8, -(-rows // smooth), -(-columns // smooth), generator=random)
    fine = F.interpolate(coarse, size=(rows, columns), mode="bicubic", align_corners=True) if smooth > 1 else coarse
    return F.normalize(fine.flatten(2), dim=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("candidates", [1, 3])
def test_it_is_its_loop(candidates: int) -> None:
    grid = (5, 7)
    rows, columns = vectors(*grid, seed=1, count=2), vectors(*grid, seed=2, count=2)
    fast = patchmatch(rows, columns, grid, seeded(), candidates, 2)
    assert fast.shape == (2, 35, candidates)
    assert fast.tolist() == patchmatch_reference(rows, columns, grid, seeded(), candidates, 2)


def test_a_shift_is_found_from_a_random_start() -> None:
    grid = (24, 24)
    picture = vectors(24, 24, seed=3, smooth=2).unflatten(2, grid)
    moved = torch.roll(picture, (3, -2), (2, 3))
    found = patchmatch(moved.flatten(2), picture.flatten(2), grid, seeded(), 2, 5)[0, :, 0]
    truth = torch.roll(torch.arange(24 * 24).reshape(grid), (3, -2), (0, 1)).flatten()
    assert (found == truth).float().mean() > 0.85  # the strip that was rolled around is left
    fewer = patchmatch(moved.flatten(2), picture.flatten(2), grid, seeded(), 2, 0)[0, :, 0]
    assert (fewer == truth).float().mean() < 0.05


def test_candidates_are_the_best_first_and_none_twice() -> None:
    grid = (6, 6)
    rows, columns = vectors(*grid, seed=4), vectors(*grid, seed=5)
    found = patchmatch(rows, columns, grid, seeded(), 4, 3)[0]
    scores = (rows.transpose(1, 2) @ columns)[0].gather(1, found)
    assert (scores[:, :-1] >= scores[:, 1:]).all()
    assert all(len(set(each)) == 4 for each in found.tolist())
    assert torch.equal(found, patchmatch(rows, columns, grid, seeded(), 4, 3)[0])


def test_with_all_cells_as_candidates_it_is_the_full_matching() -> None:
    rows, columns = (vectors(4, 4, seed=seed, count=2) for seed in (6, 7))
    every = torch.arange(16).expand(2, 16, 16)
    sparse, whole = SparseMatching(rows, columns, every, every), FullMatching(rows, columns)
    values = torch.randn(2, 16, 3)
    torch.testing.assert_close(sparse.carry(values), whole.carry(values), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sparse.back(values), whole.back(values), rtol=1e-4, atol=1e-5)


def test_gradients_reach_features_and_values_of_both_matchings() -> None:
    for matcher in (full, patchmatcher(seeded(), 3)):
        rows, columns = (vectors(4, 4, seed=seed).requires_grad_() for seed in (8, 9))
        values = torch.randn(1, 16, 3, requires_grad=True)
        matching = matcher(rows, columns, (4, 4))
        for gradient in torch.autograd.grad(
            matching.back(matching.carry(values)).square().sum(), (rows, columns, values)
        ):
            assert gradient.isfinite().all() and gradient.any()


def test_cells_are_means() -> None:
    picture = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert cells(picture, 4)[0, :, 0].tolist() == [
        float(picture[0, 0, a : a + 4, b : b + 4].mean()) for a in (0, 4) for b in (0, 4)
    ]
