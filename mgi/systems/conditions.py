"""Conditions made of a picture: what a system translates from, where nobody has drawn it.

Each is a function from a picture uint8 [H, W, 3] to uint8 [H, W, C]: C = 3 for pictures, 1 for maps of class numbers.
`mgi conditions` writes them as files; a system that was trained with `--condition` makes them itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mgi.canny import canny, luma
from mgi.systems.segments import CLASSES, segments

Condition = Callable[[np.ndarray], np.ndarray]


def edges(picture: np.ndarray) -> np.ndarray:
    """White lines on black, by Canny."""
    return _three(canny(luma(picture)).astype(np.uint8) * 255)


def grey(picture: np.ndarray) -> np.ndarray:
    """Luma (ITU-R BT.601) in all three channels."""
    return _three(np.rint(luma(picture)).astype(np.uint8))


def _three(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane[:, :, None], 3, axis=2)


CONDITIONS: dict[str, Condition] = {"edges": edges, "grey": grey, "segments": segments}
_CLASSES: dict[str, Sequence[str]] = {"segments": tuple(CLASSES)}


def classes_of(condition: str) -> tuple[str, ...]:
    """Names of the classes of a condition that is a map of labels, by their numbers; none of pictures."""
    return tuple(_CLASSES.get(condition, ()))
