"""Coarse to fine: what may match, and where matches move, against plain loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mgi.config import ConfigError
from mgi.correspondence.dense import match, match_reference
from mgi.correspondence.matching import normalise
from mgi.correspondence.refine import REACH, SEARCH, allowed_by_coarse, refined_places
from mgi.images import resize
from mgi.profiles import load_config

ALPHA = 20.0


def unit(rows: int, seed: int, channels: int = 6) -> torch.Tensor:
    return normalise(torch.randn(1, channels, rows, rows, generator=torch.Generator().manual_seed(seed)))


def test_candidates_are_near_the_coarse_match() -> None:
    source, target, rows = unit(8, 0), unit(8, 1), 4
    found = allowed_by_coarse(source, target, rows, ALPHA)[0]
    coarse = [normalise(resize(x, rows, "area")) for x in (source, target)]
    best = match_reference(coarse[0], coarse[1], ALPHA).weights[0].argmax(1)
    for u in range(64):
        for v in range(64):
            y, x = divmod(int(best[(u // 8 // 2) * rows + (u % 8) // 2]), rows)
            near = abs(v // 8 // 2 - y) <= REACH and abs(v % 8 // 2 - x) <= REACH
            assert bool(found[u, v]) == near


def test_only_allowed_candidates_get_weight() -> None:
    source, target = unit(8, 2), unit(8, 3)
    allowed = allowed_by_coarse(source, target, 4, ALPHA)
    fast, plain = (each(source, target, ALPHA, window=2, allowed=allowed) for each in (match, match_reference))
    torch.testing.assert_close(fast.weights, plain.weights, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(fast.confidence, plain.confidence, atol=1e-5, rtol=1e-4)
    assert not fast.weights[~allowed].any()


def test_places_move_as_a_plain_loop_says() -> None:
    source, target = unit(8, 4), unit(8, 5)
    places = torch.rand(1, 2, 4, 4, generator=torch.Generator().manual_seed(6)) * 3
    found = refined_places(source, target, places, ALPHA)
    steps = [(y, x) for y in range(-SEARCH, SEARCH + 1) for x in range(-SEARCH, SEARCH + 1)]
    base, worth = torch.zeros(8, 8, 2), torch.zeros(len(steps), 8, 8)
    for y in range(8):
        for x in range(8):
            shift = 2 * (places[0, :, y // 2, x // 2] - torch.tensor([y // 2, x // 2]))
            base[y, x] = shift.round() + torch.tensor([y, x])
            for k, step in enumerate(steps):
                row, column = ((base[y, x] + torch.tensor(step)).clamp(0, 7)).long().tolist()
                worth[k, y, x] = source[0, :, y, x] @ target[0, :, row, column]
    worth = F.avg_pool2d(F.pad(worth[None], [1] * 4, mode="replicate"), 3, 1)[0]
    for y in range(8):
        for x in range(8):
            weights = torch.softmax(ALPHA * worth[:, y, x], 0)
            moved = base[y, x] + weights @ torch.tensor(steps).float()
            torch.testing.assert_close(found[0, :, y, x], moved.clamp(0, 7), atol=1e-4, rtol=1e-4)


def test_a_shift_of_one_fine_cell_is_found() -> None:
    target = unit(16, 7, channels=16)
    source = target.roll(1, 3)  # what is at x comes from x - 1, half a coarse cell away
    identity = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij"))[None]
    found = refined_places(source, target, identity, 200.0)[0]
    columns = torch.arange(16.0).expand(16, 16)
    assert (found[1] - (columns - 1))[2:-2, 4:-4].abs().max() < 0.05
    assert (found[0] - columns.t())[2:-2, 4:-4].abs().max() < 0.05


@pytest.mark.parametrize(
    "settings",
    [
        {"warp.coarse_rows": 24},
        {"warp.matching": "rows", "warp.window": 0, "warp.colours": "full", "warp.coarse_rows": 16},
        {"warp.refine_rows": 96},
        {"warp.colours": "full", "warp.refine_rows": 128},
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"(coarse|refine)_rows: expected"):
        load_config("embedded", settings)
