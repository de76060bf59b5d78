"""Frechet and kernel distance of two sets of vectors [N, D] and [M, D], with intervals.

The Frechet distance needs tr (A B)^(1/2) of two covariances of D x D. Of fewer vectors than dimensions it is the sum of
the singular values of an N x M matrix: with X and Y the centred vectors, A = X'X / (N - 1) and B = Y'Y / (M - 1), the
eigenvalues of A B other than 0 are the squares of the singular values of X Y' / sqrt((N - 1) (M - 1)).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import linalg

from mgi.metrics.frechet import frechet_distance, kernel_distance
from mgi.metrics.gaussian import Gaussian, gaussian_of
from mgi.metrics.reduced import Arrays, Estimate, known_gaussian

HALVES = 20
"""Halves of both sets whose spread gives the interval."""
MOST_VECTORS = 4096
"""Vectors on either side up to which intervals are worth their time."""
SUBSET, SUBSETS = 1000, 100
"""As torch-fidelity estimates KID."""


def frechet(x: np.ndarray, y: np.ndarray, of_x: Gaussian | None = None, of_y: Gaussian | None = None) -> float:
    """The Frechet distance of the Gaussians of two sets of vectors, which may be known.

    Returns:
        A number >= 0; NaN if a set has a single vector, whose covariance is not known.
    """
    if min(len(x), len(y)) < 2:
        return math.nan
    if len(x) * len(y) > x.shape[1] ** 2:
        return of_many(of_x or gaussian_of(x), of_y or gaussian_of(y))
    a, b = np.asarray(x, float), np.asarray(y, float)
    means = a.mean(0), b.mean(0)
    a, b = ((side - mean) / math.sqrt(len(side) - 1) for side, mean in zip((a, b), means, strict=True))
    shared = linalg.svdvals(a @ b.T).sum()
    return float(max(np.square(means[0] - means[1]).sum() + np.square(a).sum() + np.square(b).sum() - 2 * shared, 0.0))


def of_many(a: Gaussian, b: Gaussian) -> float:
    """`frechet_distance` in a third of the time, for covariances of full rank; of others it is that function.

    With A = L L' the eigenvalues of A B are those of L' B L: a Cholesky factor does what a matrix square root does.
    """
    try:
        factor = linalg.cholesky(a.covariance, lower=True)
    except (linalg.LinAlgError, ValueError):  # fewer vectors than dimensions; NaN
        return frechet_distance(a, b)
    shared = np.sqrt(np.clip(linalg.eigvalsh(factor.T @ b.covariance @ factor), 0, None)).sum()
    distance = np.square(a.mean - b.mean).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * shared
    return float(max(distance, 0.0))


def frechet_of(results: Arrays, reference: Arrays | None) -> Estimate:
    """The Frechet distance, with a note where there are fewer vectors than dimensions."""
    assert reference is not None
    x, y = results["vectors"], reference["vectors"]
    value = frechet(x, y, known_gaussian(results), known_gaussian(reference))
    count, dimensions = min(len(x), len(y)), x.shape[1]
    if count < 2:
        return Estimate(value, note="a single image has no covariance")
    note = f"{count} images are fewer than {dimensions} dimensions: compare equal numbers only"
    return _with_interval(value, x, y, frechet, note if count <= dimensions else "")


def kernel_of(results: Arrays, reference: Arrays | None) -> Estimate:
    """The kernel distance: of all vectors up to 1,000, else the mean over 100 subsets of 1,000."""
    assert reference is not None
    x, y = results["vectors"], reference["vectors"]
    if min(len(x), len(y)) < 2:
        return Estimate(math.nan, note="a single image has no kernel distance")
    if max(len(x), len(y)) <= SUBSET:
        return _with_interval(kernel_distance(x, y), x, y, kernel_distance, "")
    size = min(SUBSET, len(x), len(y))
    found = _of_parts(x, y, (size, size), SUBSETS)
    value, half = float(np.mean(found)), _sampling_error(x, y, found)
    return Estimate(value, value - half, value + half)


def _of_parts(x: np.ndarray, y: np.ndarray, sizes: tuple[int, int], count: int) -> list[float]:
    """Kernel distances of `count` random parts of both sets."""
    random = np.random.default_rng(0)
    return [
        kernel_distance(*(s[random.choice(len(s), n, replace=False)] for s, n in zip((x, y), sizes, strict=True)))
        for _ in range(count)
    ]


def _sampling_error(x: np.ndarray, y: np.ndarray, found: list[float]) -> float:
    """Half an interval of 95 % for the mean of `found`, the distances of parts of SUBSET; NaN: a set is too small.

    Parts of n of N vectors differ among each other by (N - n) / n of the variance of the whole: hardly at all if they
    are nearly the whole. So they are taken of half a set at most.
    """
    sizes = (min(SUBSET, len(x) // 2), min(SUBSET, len(y) // 2))
    if min(sizes) < 4:
        return math.nan
    parts = found if sizes == (SUBSET, SUBSET) else _of_parts(x, y, sizes, HALVES)
    share = max(n / (len(side) - n) for side, n in zip((x, y), sizes, strict=True))
    return 1.96 * float(np.std(parts, ddof=1)) * math.sqrt(share)


def _with_interval(
    value: float, x: np.ndarray, y: np.ndarray, distance: Callable[[np.ndarray, np.ndarray], float], note: str
) -> Estimate:
    """The value and its sampling error: halves of both sets differ from each other as much as sets of this size.

    That is the jackknife that deletes half (Shao and Wu 1989). Halves have another bias than the whole, so only
    their spread is used.
    """
    if min(len(x), len(y)) < 8 or max(len(x), len(y)) > MOST_VECTORS or not math.isfinite(value):
        return Estimate(value, note=note)
    random = np.random.default_rng(0)
    found = [
        distance(*(side[random.choice(len(side), len(side) // 2, replace=False)] for side in (x, y)))
        for _ in range(HALVES)
    ]
    half = 1.96 * float(np.std(found, ddof=1))
    return Estimate(value, value - half, value + half, note)
