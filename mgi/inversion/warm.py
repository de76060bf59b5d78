"""Warm starts: the cheapest hypothesis of a picture goes first, and the others start from what it has found.

Hypotheses of one picture differ in the number of codes and the layer, and their first steps find much the same things.
The scout's steps are its own first steps, so they cost nothing extra.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mgi.inversion.solver import LaneState, Solver
from mgi.pairs import Hypothesis


def cost(hypothesis: Hypothesis) -> tuple[int, int]:
    """The order of hypotheses by cost: every code is a pass through the layers below the composition."""
    return hypothesis.num_codes, hypothesis.composing_layer


def warm_start(solver: Solver, lanes: Sequence[LaneState], steps: int, progress: Callable[[int, float], None]) -> None:
    """Take each picture's scout `steps` steps, and start its other lanes from its best, in place.

    Args:
        solver: takes the steps.
        lanes: fresh ones, with every hypothesis of a picture; otherwise results would depend on which are there.
        steps: how far ahead.
        progress: as `Solver.advance`.
    """
    pictures = sorted({lane.picture for lane in lanes})
    own = {picture: [lane for lane in lanes if lane.picture == picture] for picture in pictures}
    scouts = {picture: min(own[picture], key=lambda lane: cost(lane.hypothesis)) for picture in pictures}
    solver.advance(list(scouts.values()), steps, progress)
    for picture, scout in scouts.items():
        if scout.best_step < 0:
            continue  # it failed at once; the others start cold
        for lane in own[picture]:
            if lane is not scout:
                lane.start_at(solver.space.warmed(lane.latents, scout.best))
