"""Text on pictures: fonts that come with our packages, lines that fit, and numbers that can be compared."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def format_distance(value: float) -> str:
    """Three significant digits without an exponent for everyday sizes: 0.0123, 4.56, 1234."""
    if math.isnan(value):
        return "-"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:.{digits}f}"
    return f"{value:.2e}"


def draw_line(
    draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, size: int, fill: str, width: float
) -> None:
    """One line of any text, shortened in the middle if it is wider than `width`."""
    text = " ".join(text.split())
    font = font_for(size, text)
    if draw.textlength(text, font=font) > width:
        keep = len(text)
        while keep > 8 and draw.textlength(shorten(text, keep), font=font) > width:
            keep -= 1
        text = shorten(text, keep)
    draw.text(xy, text, fill=fill, font=font)


def shorten(text: str, keep: int) -> str:
    """`text` with its middle replaced by an ellipsis so that at most `keep` characters remain."""
    if len(text) <= keep:
        return text
    tail = (keep - 1) // 2
    return f"{text[: keep - 1 - tail]}…{text[len(text) - tail :]}"


@lru_cache(maxsize=32)
def _face(size: int, wide: bool) -> Font:
    # Pillow's built-in Aileron looks better but has little beyond ASCII; DejaVu comes with matplotlib.
    if wide:
        return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
    return ImageFont.load_default(size=size)


def readable(text: str) -> bool:
    """Whether there is a glyph for every character: a row of empty boxes says less than the pair's id."""
    face = _face(16, True)
    absent = bytes(face.getmask("\uffff"))
    return all(c.isspace() or bytes(face.getmask(c)) != absent for c in set(text))


def font_for(size: int, text: str = "") -> Font:
    """The font of a size in pixels that has the letters of `text`."""
    return _face(size, any(ord(c) > 126 and c not in "·…" for c in text))
