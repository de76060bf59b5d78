"""One row of the contact sheet: pictures, tiles with their distances, and the result."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from tasks.report.lettering import draw_line, font_for, format_distance, readable
from tasks.report.sheet_layout import SheetHypothesis, SheetLayout, SheetRow, best_first

PAPER, INK, FAINT, TILE = "#ffffff", "#1b1f24", "#6b7280", "#f0f1f3"
CHOSEN, GUARDED = "#0b7a55", "#b45309"


def draw_row(page: Image.Image, draw: ImageDraw.ImageDraw, row: SheetRow, layout: SheetLayout, top: int) -> None:
    """Draw the row whose upper edge is at `top` pixels."""
    x_of = layout.column_x
    caption = row.caption if row.caption and readable(row.caption) else row.pair_id
    draw_line(draw, (layout.margin, top + 4), caption, 17, FAINT, layout.page_size(1)[0] - 2 * layout.margin)
    top += layout.caption
    for heading, pixels in row.inputs.items():
        page.paste(_fit(pixels, layout.input), (x_of[heading], top + layout.input_offset))

    tiles, more = best_first(row, layout.columns * layout.lines)
    for index, tile in enumerate(tiles):
        dx, dy = layout.tile_origin(index)
        _draw_tile(page, draw, tile, (x_of["Hypotheses"] + dx, top + dy), layout)
    if more:
        dx, dy = layout.tile_origin(len(tiles))
        _draw_note(draw, f"and {more}\nmore", (x_of["Hypotheses"] + dx, top + dy), layout.tile)

    page.paste(_fit(row.result, layout.result), (x_of["Result"], top))
    chosen = next((tile for tile in (SheetHypothesis(*entry) for entry in row.hypotheses) if tile.selected), None)
    side = f"{row.result.shape[1]} x {row.result.shape[0]}"
    label = f"{chosen.hypothesis} · {side}" if chosen else side
    draw_line(draw, (x_of["Result"], top + layout.result + 5), label, 16, CHOSEN if chosen else INK, layout.result)


def _draw_tile(
    page: Image.Image, draw: ImageDraw.ImageDraw, tile: SheetHypothesis, origin: tuple[int, int], layout: SheetLayout
) -> None:
    x, y = origin
    side = layout.tile
    if tile.preview is None:
        _draw_note(draw, "failed" if tile.failed else "not\nrendered", origin, side)
    else:
        image = _fit(tile.preview, side)
        page.paste(_faded(image) if tile.guarded or tile.halved else image, origin)
    if tile.guarded and not tile.failed:
        draw.line([(x, y + side - 1), (x + side - 1, y)], fill=GUARDED, width=2)
        draw.rectangle((x, y, x + side - 1, y + side - 1), outline=GUARDED, width=1)
    if tile.selected:
        draw.rectangle((x - 5, y - 5, x + side + 4, y + side + 4), outline=CHOSEN, width=4)
    colour = CHOSEN if tile.selected else GUARDED if tile.guarded and not tile.failed else INK
    size = 16 if side >= 200 else 14
    text_y = y + side + 7
    bold = 0.35 if tile.selected else 0.0
    draw.text((x, text_y), tile.hypothesis, fill=colour, font=font_for(size), stroke_width=bold, stroke_fill=colour)
    value = "failed" if tile.failed else "" if math.isnan(tile.distance) else format_distance(tile.distance)
    draw.text(
        (x + side, text_y), value, fill=colour, font=font_for(size), anchor="ra", stroke_width=bold, stroke_fill=colour
    )


def _draw_note(draw: ImageDraw.ImageDraw, text: str, origin: tuple[int, int], side: int) -> None:
    x, y = origin
    draw.rectangle((x, y, x + side - 1, y + side - 1), fill=TILE)
    draw.multiline_text(
        (x + side / 2, y + side / 2), text, fill=FAINT, font=font_for(17), anchor="mm", align="center", spacing=6
    )


def _fit(pixels: np.ndarray, side: int) -> Image.Image:
    """The picture in a square of `side`: scaled to fit, centred on a light background if it is not square."""
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8))
    if image.size != (side, side):
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if image.size == (side, side):
        return image
    ground = Image.new("RGB", (side, side), TILE)
    ground.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return ground


def _faded(image: Image.Image) -> Image.Image:
    return Image.blend(image, Image.new("RGB", image.size, PAPER), 0.5)
