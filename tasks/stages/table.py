"""The table of stages: which there are, in which order a run goes through them.

A further stage is a file with a `STAGE` beside the others and a line here. Cheap to import: `mgi status` reads it, so
neither this nor a stage's file imports PyTorch, Pillow or Dask before a unit runs.
"""

from __future__ import annotations

from mgi.config import RunConfig
from tasks.stages import evaluate, invert, score, select, translate, warp
from tasks.stages.base import Stage

STAGES: tuple[Stage, ...] = (
    warp.STAGE,
    invert.STAGE,
    score.STAGE,
    select.STAGE,
    translate.STAGE,
    evaluate.STAGE,
)
"""All stages, in order. What is taken back of one is taken back of all that come after it."""


def stages_of(config: RunConfig) -> tuple[Stage, ...]:
    """The stages of a run, in order."""
    return tuple(stage for stage in STAGES if stage.used_by(config))


def last_required(stages: tuple[Stage, ...]) -> Stage:
    """The stage that makes a pair's result."""
    return [stage for stage in stages if stage.required][-1]
