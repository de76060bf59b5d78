"""What the pipeline asks of a method: five stages on plain arrays, none of which knows of files, stores or workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from mgi.config import RunConfig
from mgi.directions import Direction
from mgi.pairs import Hypothesis

Progress = Callable[[int, int, float], None]
"""Called with (step, steps, loss)."""
Arrays = dict[str, np.ndarray]
LaneFeatures = Callable[[int, str], np.ndarray]
"""Score features of the lane of a table (its position) and a hypothesis."""


class MethodError(ValueError):
    """A pair cannot be processed; the message is one line and says why and what to do."""


@dataclass(frozen=True)
class WarpOutput:
    """Stage warp: source, exemplar and warp as uint8 [S,S,3], aligned; info says how they were aligned and warped.

    `arrays` are further ones to keep, as `RunConfig.warp_arrays` announces them.
    """

    source: np.ndarray
    exemplar: np.ndarray
    warp: np.ndarray
    info: dict[str, float | str] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Lane:
    """One hypothesis on one pair: the warp (or observed picture) uint8 [S,S,3] to reach and the seed of its start.

    `truth` is the whole picture where what is seen was degraded, `observation_seed` what drew the degradation.
    """

    pair_id: str
    warp: np.ndarray
    hypothesis: Hypothesis
    seed: int
    truth: np.ndarray | None = None
    observation_seed: int = 0


@dataclass(frozen=True)
class LaneResult:
    """What a lane keeps: arrays shaped as `lane_arrays` says, measures for the tables, and why it failed, if so."""

    arrays: Arrays
    measures: dict[str, float]
    failed: str | None = None


@dataclass(frozen=True)
class ScoreInput:
    """One hypothesis's stored features and measures, with the reference features of its pair."""

    hypothesis: Hypothesis
    features: np.ndarray
    measures: dict[str, float]
    reference: Arrays


class Method(Protocol):
    """Stages of one way to translate a pair (warp, invert, score, select, render)."""

    config: RunConfig
    lanes_per_batch: int
    """How many pairs `invert` should get at once; 1 on a CPU."""

    @property
    def picture_size(self) -> int:
        """S: rows of sources, exemplars and warps, and of pictures that are inverted."""
        ...

    @property
    def groups(self) -> list[list[Hypothesis]]:
        """The hypotheses, grouped as `invert` wants them: a group's lanes of one pair come in one call."""
        ...

    def observe(self, image: np.ndarray, seed: int) -> WarpOutput:
        """A picture to invert as it is, uint8 [H,W,3] of any size: aligned, and as seen through the degradation."""
        ...

    def warp(
        self, source: np.ndarray, exemplar: np.ndarray, progress: Progress | None = None, seed: int = 0
    ) -> WarpOutput:
        """uint8 [H,W,3] of any size, twice -> aligned and warped; `seed`: the pair's, of everything random."""
        ...

    def lane_arrays(self, hypothesis: Hypothesis) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of every array that a lane of this hypothesis keeps."""
        ...

    def invert(self, lanes: list[Lane], progress: Progress | None = None) -> list[LaneResult]:
        """Optimise lanes of one group of hypotheses; a pair's results do not depend on the other pairs."""
        ...

    def reference_features(self, warp: np.ndarray, exemplar: np.ndarray) -> Arrays:
        """Score features of a pair's own pictures, for rules that need no domain."""
        ...

    def score(self, hypotheses: list[ScoreInput]) -> list[dict[str, float]]:
        """Distances by rule name, in order."""
        ...

    def select(self, table: list[dict[str, Any]]) -> dict[str, Any]:
        """One pair's rows -> {hypothesis, rule, value, guarded}."""
        ...

    def select_set(self, tables: list[list[dict[str, Any]]], features: LaneFeatures) -> list[dict[str, Any]]:
        """All pairs' rows -> each pair's choice by one ranking of the set (rule set-fid).

        `features(table, hypothesis id)` reads one lane's score features; a large set's do not fit into memory at once.
        """
        ...

    def render(
        self, arrays: Arrays, hypothesis: Hypothesis, factor: int | None = None, seen: np.ndarray | None = None
    ) -> np.ndarray:
        """Latents -> the final image uint8 [R,R,3]; `seen`: the picture or warp [S,S,3] that it answers."""
        ...

    def preview(self, arrays: Arrays, hypothesis: Hypothesis) -> np.ndarray:
        """Latents -> a small picture uint8 [S,S,3]."""
        ...

    def edit(
        self, arrays: Arrays, hypothesis: Hypothesis, direction: Direction, amount: float, factor: int | None = None
    ) -> np.ndarray:
        """Latents moved by `amount` along a direction -> the image as `render` makes it, uint8 [R,R,3]."""
        ...
