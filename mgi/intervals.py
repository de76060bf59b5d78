"""What a mean over pairs is worth: bootstrap intervals, paired differences, and when many of them are too many.

Methods are measured on the same pairs, and hard pairs are hard for all of them. So two methods are compared by the
differences on each pair, whose mean has a far narrower interval than the difference of two means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
SEED = 0
Z = 1.959964
"""Deviations of a normal distribution that hold 95 %."""
RADEMACHER = 3.178
"""A sum of numbers with random signs passes any bound at most so many times as often as a normal one of its variance
(Bentkus and Dzindzalieta 2015)."""
BLOCK = 256
"""Draws at a time, so that 50,000 pairs need little memory."""


@dataclass(frozen=True)
class Interval:
    """A mean, the ends of its 95 % interval (NaN: too few numbers), and of how many numbers."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Difference(Interval):
    """The mean difference of two methods on the same pairs; `p`: how often chance alone is as far from 0."""

    p: float


def mean_interval(values: np.ndarray) -> Interval:
    """The mean of numbers [P] and its percentile bootstrap; what is not finite is left out."""
    kept = np.asarray(values, float)
    kept = kept[np.isfinite(kept)]
    if len(kept) < 2:
        return Interval(float(kept[0]) if len(kept) else math.nan, math.nan, math.nan, len(kept))
    low, high = np.percentile(_means(kept), [2.5, 97.5])
    return Interval(float(kept.mean()), float(low), float(high), len(kept))


def paired_difference(values: np.ndarray, others: np.ndarray) -> Difference:
    """The mean of values - others over the pairs that have both, [P] each, in the same order.

    `p` is two-sided, by flipping the signs of the differences: if the methods are alike, each sign is as likely as the
    other. Of up to ten pairs every flip counts, so of five no p is below 0.06; of more, 2,000 are drawn, and what none
    of them reaches is bounded by the normal tail: 1 / 2,000 times the hundreds of numbers that two evaluations share
    would never be below 0.05.
    """
    both = np.asarray(values, float) - np.asarray(others, float)
    both = both[np.isfinite(both)]
    found = mean_interval(both)
    if len(both) < 2:
        return Difference(found.value, found.low, found.high, found.count, math.nan)
    least, further, total = abs(found.value) - 1e-12, 0, 0
    for signs in _flips(len(both)):
        further += int((np.abs(signs @ both / len(both)) >= least).sum())
        total += len(signs)
    exact = total < DRAWS
    p = further / total if exact else min((further + 1) / (total + 1), _tail(both))
    return Difference(found.value, found.low, found.high, found.count, p)


def _flips(count: int) -> Iterator[np.ndarray]:
    """Signs [B, P], in blocks: all there are, or DRAWS at random if those are fewer."""
    if 2**count <= DRAWS:
        yield 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)
        return
    random = np.random.default_rng(SEED)
    for start in range(0, DRAWS, BLOCK):
        yield random.integers(0, 2, (min(BLOCK, DRAWS - start), count), np.int8) * 2 - 1


def _tail(differences: np.ndarray) -> float:
    """An upper bound of the two-sided p of all sign flips of differences [P]."""
    scale = math.sqrt(float(np.square(differences).sum()))
    return min(1.0, RADEMACHER * math.erfc(abs(float(differences.sum())) / scale / math.sqrt(2))) if scale else 1.0


def holm(ps: list[float]) -> list[float]:
    """p values, corrected for their number (Holm 1979): below 0.05 then means at most 1 in 20 that any is by chance."""
    known = sorted((p, index) for index, p in enumerate(ps) if math.isfinite(p))
    corrected, largest = [math.nan] * len(ps), 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[index] = largest
    return corrected


def wilson(votes: int, total: int) -> tuple[float, float]:
    """The interval of a share (Wilson 1927): sensible for few votes and for shares of 0 and 1.

    Example:
        >>> [round(end, 3) for end in wilson(0, 10)], [round(end, 3) for end in wilson(7, 9)]
        ([0.0, 0.278], [0.453, 0.937])
    """
    if not total:
        return 0.0, 1.0
    share, square = votes / total, Z * Z / total
    centre = (share + square / 2) / (1 + square)
    half = Z * math.sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


def _means(values: np.ndarray) -> np.ndarray:
    random, found = np.random.default_rng(SEED), []
    for start in range(0, DRAWS, BLOCK):
        draws = random.integers(0, len(values), (min(BLOCK, DRAWS - start), len(values)))
        found.append(values[draws].mean(1))
    return np.concatenate(found)
