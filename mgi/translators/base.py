"""What the rest of the code asks of a translator: from a source and an exemplar to a finished image.

A translator makes images; metrics judge them; stages move them. Most translators need `translate` alone. The protocols
below it are capabilities that only some have; callers check for them with `isinstance`. One that `Warps` can be asked
for the warp, one that `Inverts` takes pictures without an exemplar, one that `Edits` moves its results along
directions, one that is `Conditioned` also needs maps of the pictures, one that is `Finished` has its pictures in a
folder, and one that `Searches` tries many hypotheses, which the pipeline spreads over workers.

Pictures come aligned, uint8 [S, S, 3] with S = `picture_size`, cropped in the same way for every method
(`mgi.alignment`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mgi.config import RunConfig
from mgi.directions import Direction
from mgi.pairs import Hypothesis

Progress = Callable[[int, int, float], None]
"""Called with (step, steps, loss)."""
Arrays = dict[str, np.ndarray]
ArrayShapes = dict[str, tuple[tuple[int, ...], str]]
"""{name: (shape, dtype)} of arrays to keep."""
LaneFeatures = Callable[[int, str], np.ndarray]
"""The score features of one lane: (position of the table, hypothesis id) -> features."""


class TranslatorError(ValueError):
    """A pair cannot be translated; the message is one line and says why and what to do."""


@dataclass(frozen=True)
class Result:
    """A finished image.

    Args:
        image: uint8 [R, R, 3]; R is the translator's own choice.
        warp: uint8 [S, S, 3], the warped exemplar if there is one, for metrics that compare with it.
        measures: numbers that only the translator knows, such as its loss, for the tables.
        info: words and numbers about how it was made.
        arrays: other arrays to keep; the pipeline keeps only those of `Searches`.
    """

    image: np.ndarray
    warp: np.ndarray | None = None
    measures: dict[str, float] = field(default_factory=dict)
    info: dict[str, float | str] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Warped:
    """What a translator inverts, uint8 [S, S, 3]: the warped exemplar, or a picture as it is observed.

    `info` says how it was made, `arrays` are further arrays to keep, which `RunConfig.warp_arrays` announces.
    """

    warp: np.ndarray
    info: dict[str, float | str] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


@runtime_checkable
class Translator(Protocol):
    """One way to translate a pair. Made by `Translator(config, device)`."""

    config: RunConfig

    @property
    def picture_size(self) -> int:
        """S: rows and columns of sources, exemplars and warps."""
        ...

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """Two pictures uint8 [S, S, 3] -> the finished image; `seed` decides everything random.

        Raises:
            TranslatorError, ValueError: this pair cannot be translated; one line.
        """
        ...


@runtime_checkable
class Warps(Protocol):
    """Can warp the exemplar to the source (MGI equations 1-6)."""

    def warp(self, source: np.ndarray, exemplar: np.ndarray, progress: Progress | None = None, seed: int = 0) -> Warped:
        """Two pictures uint8 [S, S, 3] -> the warp; `seed`: the pair's, for everything random."""
        ...


@runtime_checkable
class Inverts(Protocol):
    """Can invert pictures without an exemplar, also after a degradation."""

    def observe(self, image: np.ndarray, seed: int) -> Warped:
        """A picture uint8 [S, S, 3] as it looks after the configured degradation, which `seed` draws."""
        ...

    def reconstruct(self, image: np.ndarray, seed: int = 0, progress: Progress | None = None) -> Result:
        """A picture uint8 [S, S, 3] -> the finished image, from what is observed of it."""
        ...


@runtime_checkable
class Finished(Protocol):
    """Makes nothing: its pictures lie in a folder, called as their pairs or sources."""

    results: str
    """The folder."""


@runtime_checkable
class Conditioned(Protocol):
    """Needs, beside each picture, a map of it: its labels, edges or pose."""

    conditions: str
    """Folder of the maps, which are called as their pictures."""

    def translate_conditioned(
        self,
        pictures: tuple[np.ndarray, np.ndarray],
        conditions: tuple[np.ndarray, np.ndarray],
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Result:
        """As `translate`, of source and exemplar uint8 [S, S, 3] and their maps float32 [C, S, S]."""
        ...


@dataclass(frozen=True)
class Lane:
    """One hypothesis on one pair: the warp (or observed picture) uint8 [S,S,3] to reach and the seed of its start.

    `truth` is the whole picture if `warp` was degraded, `observation_seed` the seed that drew the degradation.
    `confidence` uint8 [G,G] says how far the warp can be trusted, if that is known. `pair` are source and exemplar,
    uint8 [S,S,3] each, for methods whose search looks at them.
    """

    pair_id: str
    warp: np.ndarray
    hypothesis: Hypothesis
    seed: int
    truth: np.ndarray | None = None
    observation_seed: int = 0
    confidence: np.ndarray | None = None
    pair: tuple[np.ndarray, np.ndarray] | None = None


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


@runtime_checkable
class Searches(Translator, Warps, Inverts, Protocol):
    """Tries hypotheses (composing layer x number of codes) and chooses one: warp, invert, score, select, render.

    Each step works on plain arrays and keeps nothing, so the pipeline can run it in any process.
    """

    lanes_per_batch: int
    """How many pairs `invert` should get at once; 1 on a CPU."""

    @property
    def groups(self) -> list[list[Hypothesis]]:
        """The hypotheses, grouped as `invert` wants them: a group's lanes of one pair come in one call."""
        ...

    def lane_arrays(self, hypothesis: Hypothesis) -> ArrayShapes:
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


@runtime_checkable
class Composed(Protocol):
    """Can say what the array `latents` of its lanes is made of."""

    def latent_parts(self, hypothesis: Hypothesis) -> Mapping[str, tuple[int, int]]:
        """{name: (rows, columns)} of what lies in the vector one after the other, each row by row."""
        ...


@runtime_checkable
class Edits(Protocol):
    """Can move its results along directions of the latent space."""

    def edit(
        self, arrays: Arrays, hypothesis: Hypothesis, direction: Direction, amount: float, factor: int | None = None
    ) -> np.ndarray:
        """Latents moved by `amount` along a direction -> the image as `render` makes it, uint8 [R,R,3]."""
        ...
