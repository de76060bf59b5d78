"""Canny's edge detector (1986): smoothed gradients, their ridges, and ridges that a strong one leads to."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SIGMA = 1.0
"""Of the Gaussian that smooths first, in pixels."""
LOW, HIGH = 0.03, 0.08
"""Thresholds of the gradient per pixel, where a sharp step from black to white has 1 before it is smoothed."""
_STEPS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""To the neighbour across an edge, by the gradient's direction in eighths of a turn: 0, 45, 90 and 135 degrees."""


def luma(picture: np.ndarray) -> np.ndarray:
    """Luma (ITU-R BT.601) float64 [H, W] from 0 to 255 of a picture uint8 [H, W, 3]."""
    found: np.ndarray = picture.astype(np.float64) @ np.array((0.299, 0.587, 0.114))
    return found


def canny(grey: np.ndarray, sigma: float = SIGMA, low: float = LOW, high: float = HIGH) -> np.ndarray:
    """Edges bool [H, W] of luma [H, W] from 0 to 255.

    Args:
        sigma: of the Gaussian, in pixels.
        low, high: a ridge of at least `high` is an edge, and so is one of at least `low` that touches an edge.
    """
    smooth = ndimage.gaussian_filter(np.asarray(grey, np.float64) / 255, sigma, mode="nearest")
    down, right = (ndimage.sobel(smooth, axis, mode="nearest") / 4 for axis in (0, 1))
    strength = np.hypot(down, right).round(9)  # two pixels of one step are equal, whichever side is brighter
    strong_enough = ridges(strength, down, right) & (strength >= low)
    found, _ = ndimage.label(strong_enough, np.ones((3, 3)))
    kept = np.unique(found[strong_enough & (strength >= high)])
    return np.isin(found, kept[kept > 0])


def ridges(strength: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where the gradient is not smaller than before it and larger than behind it, across the edge."""
    eighth = np.rint(np.arctan2(down, right) / (np.pi / 4)).astype(int) % 4
    padded = np.pad(strength, 1)
    height, width = strength.shape
    found = np.zeros(strength.shape, bool)
    for direction, (dy, dx) in enumerate(_STEPS):
        ahead, behind = (padded[1 + s * dy : 1 + s * dy + height, 1 + s * dx : 1 + s * dx + width] for s in (1, -1))
        found |= (eighth == direction) & (strength >= ahead) & (strength > behind)
    return found


def ridges_reference(strength: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`ridges`, a pixel at a time."""
    height, width = strength.shape
    found = np.zeros(strength.shape, bool)
    for y in range(height):
        for x in range(width):
            dy, dx = _STEPS[round(float(np.arctan2(down[y, x], right[y, x])) / (np.pi / 4)) % 4]
            around = [
                strength[y + s * dy, x + s * dx] if 0 <= y + s * dy < height and 0 <= x + s * dx < width else 0.0
                for s in (1, -1)
            ]
            found[y, x] = strength[y, x] >= around[0] and strength[y, x] > around[1]
    return found
