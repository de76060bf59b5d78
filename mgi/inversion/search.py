"""Which hypotheses get the time: all of them, or successive halving over rungs.

A hypothesis that is far behind after a tenth of the steps seldom wins, so every rung keeps the best of each picture's
hypotheses and spends the rest of the steps on them alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from mgi.config import Inversion, parse_rungs, planned_steps
from mgi.inversion.solver import LaneState, Progress, Solver
from mgi.inversion.warm import warm_start

Score = Callable[[Sequence[LaneState]], list[float]]
"""Distances of lanes as they stand now; lower is better."""


def search(
    solver: Solver,
    lanes: Sequence[LaneState],
    settings: Inversion,
    score: Score | None = None,
    progress: Progress | None = None,
) -> None:
    """MGI equation 7 for every n: take every lane as far as it may go, in place.

    Args:
        solver: takes the steps.
        lanes: of one or several pictures; rungs compare the lanes of a picture with each other only.
        settings: `steps`, `rungs`, `rank_by` and `warm_start`.
        score: needed where rungs rank by score.
        progress: called with (lane-steps done, lane-steps planned, mean loss).
    """
    rungs = [rung for rung in parse_rungs(settings.rungs) if rung[0] < settings.steps]
    planned, done = _planned(settings, lanes), 0

    def count(steps: int, loss: float) -> None:
        nonlocal done
        done += steps
        if progress is not None:
            progress(min(done, planned), planned, loss)

    ahead = min([settings.warm_start, settings.steps, *(until for until, _ in rungs[:1])])
    if ahead:  # not beyond the first rung: all lanes that are compared there must have taken the same number of steps
        warm_start(solver, lanes, ahead, count)
    for until, keep in rungs:
        solver.advance(lanes, until, count)
        for picture in sorted({lane.picture for lane in lanes}):
            sort_out([lane for lane in lanes if lane.picture == picture and lane.active], keep, settings, score)
    solver.advance(lanes, settings.steps, count)


def sort_out(lanes: Sequence[LaneState], keep: int, settings: Inversion, score: Score | None) -> None:
    """End all but the best `keep` lanes of a picture."""
    if len(lanes) <= keep:
        return
    ranks = [0] * len(lanes)
    if settings.rank_by in ("loss", "both"):
        _add_ranks(ranks, [lane.best_loss for lane in lanes])
    if settings.rank_by in ("score", "both"):
        if score is None:
            raise ValueError(f"rank_by = {settings.rank_by!r} needs scores")
        _add_ranks(ranks, score(lanes))
    # Ties go to the smaller loss: it needs no judge.
    order = sorted(range(len(lanes)), key=lambda i: (ranks[i], lanes[i].best_loss))
    for i in order[keep:]:
        lanes[i].ended, lanes[i].finished = True, False


def _planned(settings: Inversion, lanes: Sequence[LaneState]) -> int:
    counts = Counter(lane.picture for lane in lanes)
    return sum(planned_steps(settings, count) for count in counts.values())


def _add_ranks(ranks: list[int], values: Sequence[float]) -> None:
    order = sorted(range(len(values)), key=lambda i: (values[i] != values[i], values[i]))  # NaN last
    for rank, i in enumerate(order):
        ranks[i] += rank
