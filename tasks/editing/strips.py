"""Pictures side by side with a word over each, to show edits, directions and samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from storage.images import write_png
from tasks.report.lettering import draw_line

BAND, GAP = 24, 4
"""Pixels over a picture for its word, and between two pictures."""
SMALLEST, LARGEST = 128, 256
"""Sides of the pictures: smaller ones are enlarged, larger ones reduced."""
KEY = "mgi:key"
"""The PNG text that says what a picture was made from: a picture whose key is still right is not made again."""

Cell = tuple[str, np.ndarray]
"""A word and a picture uint8 [H,W,3]."""


def strip(rows: Sequence[Sequence[Cell]], side: int | None = None) -> np.ndarray:
    """Rows of pictures uint8 [h, w, 3], each square, with its word over it, on white.

    Args:
        rows: from the top, each from the left; rows may differ in length.
        side: of the pictures; None: that of the last one, clipped to between SMALLEST and LARGEST.
    """
    side = side or min(LARGEST, max(SMALLEST, rows[0][-1][1].shape[0]))
    width = max(len(row) for row in rows) * (side + GAP) - GAP
    page = Image.new("RGB", (width, len(rows) * (side + BAND + GAP) - GAP), "white")
    draw = ImageDraw.Draw(page)
    for line, row in enumerate(rows):
        for column, (word, pixels) in enumerate(row):
            x, y = column * (side + GAP), line * (side + BAND + GAP)
            draw_line(draw, (x + 2, y + 3), word, BAND - 9, "black", side - 4)
            page.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS), (x, y + BAND))
    return np.asarray(page)


def has_key(path: Path, key: str) -> bool:
    """Whether a picture is there, whole and made under this key."""
    try:
        with Image.open(path) as image:
            image.load()
            return image.info.get(KEY) == key
    except (OSError, ValueError, SyntaxError):  # missing, cut off, or not a picture: it is made again
        return False


def write_keyed(path: Path, pixels: np.ndarray, key: str, facts: dict[str, str]) -> None:
    """Write a picture under its key."""
    write_png(path, pixels, {KEY: key, **facts})
