"""Warm starts: the cheapest hypothesis of a picture goes ahead, and the others begin at what it has found.

Hypotheses of one picture ask the same question with more codes or another layer, so the first steps of all of them find
out the same things. The scout's steps are its own first steps: they cost nothing beyond what it takes anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mgi.inversion.solver import LaneState, Solver
from mgi.pairs import Hypothesis


def cost(hypothesis: Hypothesis) -> tuple[int, int]:
    """What hypotheses are ordered by: every code is a pass through the layers below the composition."""
    return hypothesis.num_codes, hypothesis.composing_layer


def warm_start(solver: Solver, lanes: Sequence[LaneState], steps: int, progress: Callable[[int, float], None]) -> None:
    """Take each picture's scout so many steps far, and start its other lanes at its best, in place.

    Args:
        solver: takes the steps.
        lanes: fresh ones; every hypothesis of a picture, or its results would depend on who is there.
        steps: how far ahead.
        progress: as `Solver.advance`.
    """
    pictures = sorted({lane.picture for lane in lanes})
    own = {picture: [lane for lane in lanes if lane.picture == picture] for picture in pictures}
    scouts = {picture: min(own[picture], key=lambda lane: cost(lane.hypothesis)) for picture in pictures}
    solver.advance(list(scouts.values()), steps, progress)
    for picture, scout in scouts.items():
        if scout.best_step < 0:
            continue  # it was lost at once; the others start cold
        for lane in own[picture]:
            if lane is not scout:
                lane.start_at(solver.space.warmed(lane.latents, scout.best))
