"""Results back in their photographs: the inverse of the alignment, and nothing outside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mgi.alignment.aligner import Aligner
from mgi.alignment.paste import paste_back
from mgi.alignment.template import align_image, centre_square, face_quad
from mgi.config import Align


def photo(height: int = 200, width: int = 260) -> np.ndarray:
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 12, 16, generator=random) * 255
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 255)
    return smooth[0].permute(1, 2, 0).byte().numpy()


def turned(angle: float = 0.4, side: float = 110.0) -> torch.Tensor:
    """A square of a face that looks a little to the side."""
    eyes = torch.tensor([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.5], [-0.4, 1.0], [0.4, 1.0]]).double() * side / 4
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = torch.tensor([[cosine, sine], [-sine, cosine]]).double()
    return face_quad(eyes @ rotation + torch.tensor([130.0, 90.0]).double())


@pytest.mark.parametrize("rows", [64, 128, 512])
@pytest.mark.parametrize("quad", [turned(), turned(-0.2, 70), centre_square(200, 260)])
def test_what_was_cut_out_goes_back_to_its_place(rows: int, quad: torch.Tensor) -> None:
    before = photo()
    crop = align_image(torch.from_numpy(before), quad, rows).numpy()
    after = paste_back(before, crop, quad)
    difference = np.abs(after.astype(int) - before)
    limit = 2.0 if rows == 64 else 0.5  # 64 rows hold less than the photograph
    assert difference.mean() < limit and np.percentile(difference, 99) < 16 * limit


def test_outside_the_square_nothing_changes() -> None:
    before, quad = photo(), turned()
    after = paste_back(before, np.zeros((64, 64, 3), np.uint8), quad)
    inside = np.zeros(before.shape[:2], bool)
    basis = torch.stack([quad[3] - quad[0], quad[1] - quad[0]], dim=1)
    for y, x in np.ndindex(*inside.shape):
        u, v = torch.linalg.solve(basis, torch.tensor([x + 0.5, y + 0.5]).double() - quad[0]).tolist()
        inside[y, x] = 0 < u < 1 and 0 < v < 1
    assert np.array_equal(after[~inside], before[~inside])
    middle = quad.mean(0).int().tolist()
    assert (after[middle[1], middle[0]] == 0).all()


def test_squares_that_leave_the_photograph() -> None:
    before = photo()
    result = np.full((64, 64, 3), 255, np.uint8)
    corner = turned() - torch.tensor([130.0, 90.0]).double()
    after = paste_back(before, result, corner)
    assert after.shape == before.shape and (after[0, 0] > before[0, 0]).any()
    assert np.array_equal(paste_back(before, result, corner - 5000), before)


def test_where_the_warp_is_not_trusted_the_photograph_stays() -> None:
    before, quad = photo(), centre_square(200, 260)
    result = np.zeros((64, 64, 3), np.uint8)
    left = np.zeros((64, 64), np.uint8)
    left[:, :32] = 255
    after = paste_back(before, result, quad, left)
    assert (after[100, 80] == 0).all() and np.array_equal(after[100, 180], before[100, 180])
    whole = paste_back(before, result, quad, np.full((64, 64), 255, np.uint8))
    assert np.array_equal(whole, paste_back(before, result, quad))


def test_the_aligner_cuts_the_square_that_it_names() -> None:
    aligner, picture = Aligner(Align(mode="never"), 64), photo()
    quad, how = aligner.quad(picture, "source")
    cut, said = aligner(picture, "source")
    assert how == said == "centre" and torch.equal(quad, centre_square(200, 260))
    assert np.array_equal(cut, align_image(torch.from_numpy(picture), quad, 64).numpy())
