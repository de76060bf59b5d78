"""Boxes that a detector found against the true ones: average precision as COCO defines it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

THRESHOLDS = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2))
"""Overlaps from which a box is right; AP is the mean over them."""
RECALLS = np.linspace(0, 1, 101)
MOST = 100
"""Boxes of one picture and class that count, those of the highest scores."""


@dataclass(frozen=True)
class Box:
    """Left, top, width and height in pixels, of a picture and a class; `score` of one that was found."""

    picture: str
    kind: str
    box: tuple[float, float, float, float]
    score: float = 1.0


@dataclass(frozen=True)
class BoxScores:
    """Average precision: mean over classes and overlaps, at 0.5, at 0.75, and of each class over all overlaps."""

    ap: float
    ap50: float
    ap75: float
    of_class: dict[str, float]


def box_scores(found: Sequence[Box], true: Sequence[Box]) -> BoxScores:
    """Scores of all boxes together; classes without a true box are left out.

    Raises:
        ValueError: there is no true box; one line.
    """
    kinds = sorted({box.kind for box in true})
    if not kinds:
        raise ValueError("expected true boxes, found none")
    table = np.array([_of_class(found, true, kind) for kind in kinds])
    each = dict(zip(kinds, table.mean(1).tolist(), strict=True))
    mean = table.mean(0)
    return BoxScores(float(mean.mean()), float(mean[0]), float(mean[5]), each)


def overlaps(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [N, 4] and [M, 4] (left, top, width, height) -> [N, M]."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum((ours[:, :2] + ours[:, 2:])[:, None], (theirs[:, :2] + theirs[:, 2:])[None])
    inner = np.clip(high - low, 0, None).prod(2)
    union = ours[:, 2:].prod(1)[:, None] + theirs[:, 2:].prod(1)[None] - inner
    return inner / np.maximum(union, 1e-12)


def _of_class(found: Sequence[Box], true: Sequence[Box], kind: str) -> list[float]:
    """Average precision of one class at every threshold."""
    by_picture: dict[str, tuple[list[Box], list[Box]]] = defaultdict(lambda: ([], []))
    for side, boxes in enumerate((found, true)):
        for box in boxes:
            if box.kind == kind:
                by_picture[box.picture][side].append(box)
    scores, right = [], []
    for ours, theirs in by_picture.values():
        ours = sorted(ours, key=lambda box: -box.score)[:MOST]
        scores += [box.score for box in ours]
        right.append(_matched(ours, theirs))
    hits = np.concatenate(right, axis=1)[:, np.argsort(-np.array(scores), kind="stable")]
    total = sum(len(theirs) for _, theirs in by_picture.values())
    return [_precision(row, total) for row in hits]


def _matched(found: list[Box], true: list[Box]) -> np.ndarray:
    """[thresholds, boxes]: whether each takes a true box that no better one has, best scores first."""
    hits = np.zeros((len(THRESHOLDS), len(found)), bool)
    if not found or not true:
        return hits
    shared = overlaps(np.array([box.box for box in found], float), np.array([box.box for box in true], float))
    for row, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(true), bool)
        for number, one in enumerate(shared):
            best = int(np.where(free, one, -1.0).argmax())
            if free[best] and one[best] >= threshold:
                hits[row, number], free[best] = True, False
    return hits


def _precision(hits: np.ndarray, total: int) -> float:
    """The area under precision over recall, at 101 recalls, precision made to fall."""
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / total, RECALLS)
    return float(np.where(at < len(hits), falling[np.minimum(at, len(hits) - 1)], 0.0).mean()) if len(hits) else 0.0
