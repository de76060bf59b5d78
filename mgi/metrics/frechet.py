"""Distances between distributions: Frechet distance of Gaussians and kernel distance of samples, in float64."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from mgi.metrics.gaussian import Gaussian


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|mu_a - mu_b|^2 + tr(A + B - 2 (A B)^(1/2)); FID (MGI tables 1-2) of Inception's pool3.

    The trace of (A B)^(1/2) is the sum of the square roots of the eigenvalues of A^(1/2) B A^(1/2): symmetric, so they
    are real, and singular covariances (fewer vectors than dimensions) need no epsilon, which a matrix square root does.

    Returns:
        A number >= 0; NaN if a statistic is not finite.
    """
    parts = (a.mean, b.mean, a.covariance, b.covariance)
    if not all(np.isfinite(part).all() for part in parts):
        return float("nan")
    root = _root(a.covariance)
    eigenvalues = linalg.eigvalsh(root @ b.covariance @ root)
    shared = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    distance = np.square(a.mean - b.mean).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * shared
    return float(max(distance, 0.0))


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared MMD with the kernel (x.y / D + 1)^3; KID if the vectors are Inception's pool3.

    Args:
        x, y: [N, D] and [M, D], at least two vectors each.

    Returns:
        A number that is 0 on average if both come from one distribution, and may be negative.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    n, m = len(x), len(y)
    if n < 2 or m < 2:
        raise ValueError(f"expected at least two vectors on each side, found {n} and {m}; use more images")

    def kernel(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return (p @ q.T / p.shape[1] + 1) ** 3

    xx, yy = kernel(x, x), kernel(y, y)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * kernel(x, y).mean())


def between_locations(a: Gaussian, b: Gaussian) -> float:
    """The Frechet distance, or NaN if one side has no spread: then there is no distribution to compare."""
    if not (a.covariance.any() and b.covariance.any()):
        return float("nan")
    return frechet_distance(a, b)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
