"""Matching without all pairs: PatchMatch (Barnes et al. 2009) on features, as CoCosNet v2 (Zhou et al., CVPR 2021).

Every cell keeps a few candidates. They begin at random; in each iteration a cell also tries what its neighbours have
found, moved by as much as it lies beside them, and places at random around its best one, in ever smaller windows. The
best stay, and a softmax weighs them. Memory and time are proportional to the number of cells, not to its square.

CoCosNet v2 searches by convolutional GRU where this draws at random, and begins with the matches of a coarser level.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from mgi.systems.matching import TEMPERATURE, Matcher, Matching

CANDIDATES = 4
ITERATIONS = 5
"""As CoCosNet v2."""
BESIDE = (((0, -1), (0, 1)), ((-1, 0), (1, 0)))
"""Neighbours (rows, columns) of the two halves of an iteration: beside, then above and below."""


class SparseMatching:
    """Every cell takes of its candidates, by a softmax of their similarities.

    Args:
        rows, columns: unit vectors [B, D, N]; gradients reach them.
        found, found_back: candidates [B, N, K] among the columns, and among the rows.
    """

    def __init__(self, rows: Tensor, columns: Tensor, found: Tensor, found_back: Tensor) -> None:
        self._sides = rows, columns
        self.found, self._back = found, found_back

    def carry(self, values: Tensor) -> Tensor:
        """[B, N', C] -> [B, N, C]."""
        rows, columns = self._sides
        return _weighed(rows, columns, self.found, values)

    def back(self, values: Tensor) -> Tensor:
        """[B, N, C] -> [B, N', C], by the candidates of a search of its own."""
        rows, columns = self._sides
        return _weighed(columns, rows, self._back, values)


def patchmatcher(random: torch.Generator, candidates: int = CANDIDATES, iterations: int = ITERATIONS) -> Matcher:
    """A `Matcher` that searches; `random` draws, on the CPU."""

    def match(rows: Tensor, columns: Tensor, grid: tuple[int, int]) -> Matching:
        there, back = (
            patchmatch(x.detach(), y.detach(), grid, random, candidates, iterations)
            for x, y in ((rows, columns), (columns, rows))
        )
        return SparseMatching(rows, columns, there, back)

    return match


@torch.no_grad()
def patchmatch(
    rows: Tensor, columns: Tensor, grid: tuple[int, int], random: torch.Generator, candidates: int, iterations: int
) -> Tensor:
    """Numbers of the best cells found for every cell: long [B, N, K], the best first, none twice.

    Args:
        rows, columns: unit vectors [B, D, N] of two sets of cells on grids of the same size.
        grid: (rows, columns) of cells, N of them.
        random: draws starts and searches, on the CPU.
        candidates: K.
        iterations: how often neighbours and chance are asked.
    """
    asking, asked = (x.transpose(1, 2).contiguous() for x in (rows, columns))
    start, searches = _draws(len(rows), grid, random, candidates, iterations)
    found, scores = _best(start.to(rows.device), _similarity(asking, asked, start.to(rows.device)), candidates)
    for search in searches:
        for beside in BESIDE:
            fresh = torch.cat([_propagated(found, grid, step) for step in beside], -1)
            found, scores = _joined(asking, asked, found, scores, fresh, candidates)
        fresh = _clamped(found[:, :, :1], search.to(rows.device), grid)
        found, scores = _joined(asking, asked, found, scores, fresh, candidates)
    return found


def _draws(
    count: int, grid: tuple[int, int], random: torch.Generator, candidates: int, iterations: int
) -> tuple[Tensor, list[Tensor]]:
    """(first candidates [B, N, K], for each iteration the steps (rows, columns) [B, N, windows, 2] that are tried)."""
    number = grid[0] * grid[1]
    start = torch.randint(0, number, (count, number, candidates), generator=random)
    radii = torch.tensor([2**power for power in reversed(range(int(math.log2(max(grid)))))])
    searches = []
    for _ in range(iterations):
        share = 2 * torch.rand(count, number, len(radii), 2, generator=random) - 1
        searches.append(torch.round(share * radii[:, None]).long())
    return start, searches


def _propagated(found: Tensor, grid: tuple[int, int], step: tuple[int, int]) -> Tensor:
    """What the neighbour at a step has found, moved back by the step; at the border a cell is its own neighbour."""
    places = found.unflatten(1, grid)
    shifted = torch.roll(places, (-step[0], -step[1]), (1, 2))
    height, width = grid
    row, column = torch.arange(height, device=found.device)[:, None], torch.arange(width, device=found.device)
    inside = (row + step[0] >= 0) & (row + step[0] < height) & (column + step[1] >= 0) & (column + step[1] < width)
    moved = torch.where(inside[None, :, :, None], shifted, places).flatten(1, 2)
    back = torch.tensor([-step[0], -step[1]], device=found.device).expand(*found.shape, 2)
    return _clamped(moved, torch.where(inside.flatten()[None, :, None, None], back, 0), grid)


def _clamped(found: Tensor, steps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Cells at steps (rows, columns) [..., 2] from others, held inside the grid."""
    height, width = grid
    row = (found // width + steps[..., 0]).clamp(0, height - 1)
    column = (found % width + steps[..., 1]).clamp(0, width - 1)
    return row * width + column


def _joined(
    asking: Tensor, asked: Tensor, found: Tensor, scores: Tensor, fresh: Tensor, keep: int
) -> tuple[Tensor, Tensor]:
    both = torch.cat([found, fresh], -1)
    return _best(both, torch.cat([scores, _similarity(asking, asked, fresh)], -1), keep)


def _best(found: Tensor, scores: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """The best candidates, each cell once, and their scores."""
    ordered, order = found.sort(dim=-1, stable=True)
    repeated = torch.zeros_like(found, dtype=torch.bool)
    repeated[..., 1:] = ordered[..., 1:] == ordered[..., :-1]
    once = scores.gather(-1, order).masked_fill(repeated, -math.inf)
    best, at = once.topk(keep, -1)
    return ordered.gather(-1, at), best


def _similarity(asking: Tensor, asked: Tensor, found: Tensor) -> Tensor:
    """Cosines [B, N, K] of vectors [B, N, D] with those of their candidates; a candidate at a time, to hold little."""
    batch = torch.arange(len(found), device=found.device)[:, None]
    return torch.stack([(asking * asked[batch, each]).sum(-1) for each in found.unbind(-1)], -1)


def _weighed(asking: Tensor, asked: Tensor, found: Tensor, values: Tensor) -> Tensor:
    scores = _similarity(asking.transpose(1, 2), asked.transpose(1, 2).contiguous(), found)
    weights = torch.softmax(scores / TEMPERATURE, -1)
    batch = torch.arange(len(found), device=found.device)[:, None, None]
    return (weights[..., None] * values[batch, found]).sum(2)


def patchmatch_reference(
    rows: Tensor, columns: Tensor, grid: tuple[int, int], random: torch.Generator, candidates: int, iterations: int
) -> list[list[list[int]]]:
    """`patchmatch`, cell by cell: for every picture and cell its candidates, the best first."""
    height, width = grid
    start, searches = _draws(len(rows), grid, random, candidates, iterations)
    answer = []
    for number in range(len(rows)):

        def best(cell: int, asked: list[int], number: int = number) -> list[int]:
            scores = {each: float(rows[number, :, cell] @ columns[number, :, each]) for each in asked}
            return sorted(scores, key=lambda each: -scores[each])[:candidates]

        found = [best(cell, start[number, cell].tolist()) for cell in range(height * width)]
        for search in searches:
            for beside in BESIDE:
                found = [best(cell, [*found[cell], *_of_neighbours(found, cell, beside, grid)]) for cell in _all(grid)]
            found = [
                best(cell, [*found[cell], *(_stepped(found[cell][0], down, right, grid) for down, right in steps)])
                for cell, steps in zip(_all(grid), search[number].tolist(), strict=True)
            ]
        answer.append(found)
    return answer


def _all(grid: tuple[int, int]) -> Iterator[int]:
    return iter(range(grid[0] * grid[1]))


def _of_neighbours(
    found: list[list[int]], cell: int, beside: tuple[tuple[int, int], ...], grid: tuple[int, int]
) -> list[int]:
    """What a cell's neighbours have found, moved to it."""
    row, column = divmod(cell, grid[1])
    moved = []
    for down, right in beside:
        if 0 <= row + down < grid[0] and 0 <= column + right < grid[1]:
            neighbour = found[(row + down) * grid[1] + column + right]
            moved.append([_stepped(each, -down, -right, grid) for each in neighbour])
    return [*itertools.chain.from_iterable(moved)]


def _stepped(cell: int, down: int, right: int, grid: tuple[int, int]) -> int:
    row, column = divmod(cell, grid[1])
    return min(max(row + down, 0), grid[0] - 1) * grid[1] + min(max(column + right, 0), grid[1] - 1)
