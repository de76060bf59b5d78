"""Maps of labels against the true ones: mean intersection over union, and pixel accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

IGNORED = 255
"""Class number of pixels that do not count."""


@dataclass(frozen=True)
class LabelScores:
    """Of all pixels together.

    Args:
        miou: mean over classes of intersection / union; classes that neither side has are left out.
        accuracy: share of pixels whose class is right.
        of_class: {class: intersection / union}.
        pixels: that counted.
    """

    miou: float
    accuracy: float
    of_class: dict[int, float]
    pixels: int


def label_scores(pairs: Iterable[tuple[np.ndarray, np.ndarray]], classes: int) -> LabelScores:
    """Scores of (found, true) maps, integers [H, W] each.

    Args:
        pairs: one after the other; only counts are kept.
        classes: how many; true pixels of 255 do not count.

    Raises:
        ValueError: shapes differ, a class is too large, or nothing counts; one line.
    """
    counts = np.zeros((classes, classes), np.int64)
    for number, (found, true) in enumerate(pairs, start=1):
        if found.shape != true.shape:
            raise ValueError(f"map {number}: expected {true.shape}, as the true one has, found {found.shape}")
        kept = true != IGNORED
        largest = max((int(side[kept].max()) for side in (found, true) if kept.any()), default=0)
        if largest >= classes:
            raise ValueError(f"map {number}: expected classes below {classes}, found {largest}; give --classes")
        joint = true[kept].astype(np.int64) * classes + found[kept].astype(np.int64)
        counts += np.bincount(joint, minlength=classes * classes).reshape(classes, classes)
    whole, right = int(counts.sum()), np.diag(counts)
    if not whole:
        raise ValueError("expected pixels that count, found none; are all of them 255?")
    union = counts.sum(0) + counts.sum(1) - right
    of_class = {number: float(right[number] / union[number]) for number in range(classes) if union[number]}
    return LabelScores(float(np.mean(list(of_class.values()))), float(right.sum() / whole), of_class, whole)
