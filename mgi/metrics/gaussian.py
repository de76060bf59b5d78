"""Streaming mean and covariance in float64, mergeable across workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

BLOCK = 4096
"""Vectors at a time."""


@dataclass(frozen=True)
class Gaussian:
    """n vectors of D numbers: their mean [D] and unbiased covariance [D, D] (zero if n is 1)."""

    mean: np.ndarray
    covariance: np.ndarray
    n: int

    def project(self, origin: np.ndarray, basis: np.ndarray) -> Gaussian:
        """The statistics of basis @ (x - origin): basis [K, D] -> K dimensions."""
        return Gaussian(basis @ (self.mean - origin), basis @ self.covariance @ basis.T, self.n)


class GaussianAccumulator:
    """Mean and covariance of vectors that arrive in batches.

    Args:
        dimensions: D.

    Example:
        >>> left, right = GaussianAccumulator(2), GaussianAccumulator(2)
        >>> left.update([[0.0, 0.0], [2.0, 0.0]])
        >>> right.update([[4.0, 3.0]])
        >>> left.merge(right)
        >>> left.result().mean.tolist(), left.result().n
        ([2.0, 1.0], 3)
    """

    def __init__(self, dimensions: int) -> None:
        self.n = 0
        self.mean = np.zeros(dimensions)
        self.scatter = np.zeros((dimensions, dimensions))

    def update(self, vectors: Tensor | ArrayLike) -> None:
        """Add vectors [N, D].

        Raises:
            ValueError: the wrong number of dimensions, or a value that is not finite (one NaN would silently spoil
                everything before it).
        """
        batch = vectors.detach().cpu().double().numpy() if isinstance(vectors, Tensor) else np.asarray(vectors, float)
        if batch.ndim != 2 or batch.shape[1] != self.mean.size:
            raise ValueError(f"expected vectors of shape [N, {self.mean.size}], found {list(batch.shape)}")
        if not np.isfinite(batch).all():
            raise ValueError("features hold NaN or infinity; check the images that they come from")
        if len(batch):
            mean = batch.mean(axis=0)
            centred = batch - mean
            self.combine(len(batch), mean, centred.T @ centred)  # of one array with itself: half the work

    def merge(self, other: GaussianAccumulator) -> None:
        """Add everything that another accumulator has seen."""
        self.combine(other.n, other.mean, other.scatter)

    def result(self) -> Gaussian:
        """Statistics of all vectors so far. Raises ValueError if there were none."""
        if self.n == 0:
            raise ValueError("no vectors to take statistics of; the source of images is empty")
        return Gaussian(self.mean.copy(), self.scatter / max(self.n - 1, 1), self.n)

    def combine(self, n: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        """Add n vectors by their mean [D] and their scatter [D, D], the sum of (x - mean) (x - mean)'."""
        # Chan, Golub and LeVeque's pairwise update: no cancellation, whatever the order and sizes of batches.
        total = self.n + n
        if total == 0:
            return
        delta = mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(delta, delta) * (self.n * n / total)
        self.mean = self.mean + delta * (n / total)
        self.n = total


def gaussian_of(vectors: np.ndarray) -> Gaussian:
    """Statistics of vectors [N, D], read in blocks: float64 copies of 70,000 vectors would need gigabytes.

    Raises:
        ValueError: there are none, or a value is not finite.
    """
    seen = GaussianAccumulator(vectors.shape[1])
    for start in range(0, len(vectors), BLOCK):
        seen.update(vectors[start : start + BLOCK])
    return seen.result()
