"""The contact sheet: one row per pair, from what went in to what came out, as a figure that can be read at a glance.

A row reads left to right like the method's figures: source, exemplar, warp, the hypotheses with their distances
(the chosen one framed, those outside the fidelity bound faded and struck through), and the result, larger. Everything
that is placed is placed by `SheetLayout`, so drawing and the size of the page cannot disagree.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from storage.atomic import write_bytes
from tasks.report.lettering import Font, draw_line, font_for, format_distance, readable

ROWS_PER_PAGE = 12

PAPER, INK, FAINT, RULE, TILE = "#ffffff", "#1b1f24", "#6b7280", "#d9dce1", "#f0f1f3"
CHOSEN, GUARDED = "#0b7a55", "#b45309"


class SheetHypothesis(NamedTuple):
    """One tile: `preview` is uint8 [s,s,3], or None where nothing can be shown.

    `distance` is NaN where there is none: it failed, or the rule compares whole sets (set-fid).
    """

    hypothesis: str
    preview: np.ndarray | None
    distance: float
    selected: bool = False
    guarded: bool = False
    failed: bool = False
    halved: bool = False


@dataclass(frozen=True)
class SheetRow:
    """One pair. `source`, `exemplar`, `warp`: uint8 [S,S,3]; `result`: uint8 [R,R,3]; `caption`: one line above it.

    A picture that was inverted as it is has no exemplar; `warp` is what was observed of it.
    """

    pair_id: str
    source: np.ndarray
    exemplar: np.ndarray | None
    warp: np.ndarray
    hypotheses: Sequence[SheetHypothesis | tuple[str, np.ndarray | None, float, bool, bool]]
    result: np.ndarray
    caption: str = ""

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """What went in, by heading."""
        if self.exemplar is None:
            return {"Picture": self.source, "Observed": self.warp}
        return {"Source": self.source, "Exemplar": self.exemplar, "Warp": self.warp}


@dataclass(frozen=True)
class SheetLayout:
    """Sizes in pixels. `columns` x `lines` tiles hold the hypotheses of every row of a page."""

    columns: int
    lines: int
    tile: int
    input: int = 256
    result: int = 376
    gap: int = 18
    gutter: int = 40
    margin: int = 44
    label: int = 26
    caption: int = 34
    headings: int = 46
    between: int = 26
    footer: int = 58
    headings_of_inputs: tuple[str, ...] = ("Source", "Exemplar", "Warp")

    @classmethod
    def for_counts(cls, most: int, inputs: Sequence[str] = ("Source", "Exemplar", "Warp")) -> SheetLayout:
        """The layout for rows of at most `most` hypotheses: one line of large tiles, or two lines of small ones."""
        if most <= 3:
            return cls(columns=max(1, most), lines=1, tile=256, headings_of_inputs=tuple(inputs))
        columns = min(5, math.ceil(most / 2))
        return cls(columns=columns, lines=2, tile=160, headings_of_inputs=tuple(inputs))

    @property
    def row_height(self) -> int:
        return self.caption + self.result + self.label

    @property
    def hypotheses_width(self) -> int:
        return self.columns * self.tile + (self.columns - 1) * self.gap

    @property
    def column_x(self) -> dict[str, int]:
        """Left edge of every column, by heading."""
        step = self.input + self.gap
        tiles = self.margin + len(self.headings_of_inputs) * step - self.gap + self.gutter
        return {
            **{heading: self.margin + place * step for place, heading in enumerate(self.headings_of_inputs)},
            "Hypotheses": tiles,
            "Result": tiles + self.hypotheses_width + self.gutter,
        }

    def page_size(self, rows: int) -> tuple[int, int]:
        width = self.column_x["Result"] + self.result + self.margin
        height = self.margin + self.headings + rows * self.row_height + (rows - 1) * self.between + self.footer
        return width, height

    def tile_origin(self, index: int) -> tuple[int, int]:
        """Top left corner of tile `index`, relative to the row's image area; the block is centred on the result."""
        line, column = divmod(index, self.columns)
        pitch = self.tile + self.label
        block = self.lines * pitch + (self.lines - 1) * 4
        return column * (self.tile + self.gap), (self.result + self.label - block) // 2 + line * (pitch + 4)

    @property
    def input_offset(self) -> int:
        """Source, exemplar and warp are centred on the result too, label included."""
        return (self.result + self.label - self.input - self.label) // 2


def contact_sheet(
    rows: Iterable[SheetRow], path: str | Path, *, rule: str = "distance", warning: str | None = None
) -> list[Path]:
    """Write the sheet of `rows` to `path` (PNG), 12 pairs a page: sheet.png, sheet_002.png, ...

    Rows are consumed a page at a time, so a generator of a long run is never in memory as a whole.

    Args:
        rows: the pairs, in the order they are shown.
        path: file of the first page.
        rule: name of the selection rule whose distances the rows carry, for the legend.
        warning: a line above the headings of every page.

    Returns:
        The pages that were written. Later pages of an earlier, longer sheet are removed.
    """
    first = Path(path)
    pages = []
    for number, page_rows in enumerate(_pages(iter(rows)), start=1):
        page = first if number == 1 else first.with_name(f"{first.stem}_{number:03d}{first.suffix}")
        buffer = io.BytesIO()
        draw_page(page_rows, rule=rule, number=number, warning=warning).save(buffer, "PNG", compress_level=3)
        write_bytes(page, buffer.getvalue())
        pages.append(page)
    for stale in first.parent.glob(f"{first.stem}_[0-9][0-9][0-9]{first.suffix}"):
        if stale not in pages:
            stale.unlink()
    return pages


def _pages(rows: Iterator[SheetRow]) -> Iterator[list[SheetRow]]:
    while page := list(islice(rows, ROWS_PER_PAGE)):
        yield page


def draw_page(
    rows: Sequence[SheetRow], *, rule: str = "distance", number: int = 1, warning: str | None = None
) -> Image.Image:
    """One page of the sheet as an RGB image."""
    layout = SheetLayout.for_counts(max(len(row.hypotheses) for row in rows), tuple(rows[0].inputs))
    page = Image.new("RGB", layout.page_size(len(rows)), PAPER)
    draw = ImageDraw.Draw(page)
    _draw_headings(draw, layout)
    if warning:
        draw_line(draw, (layout.margin, 8), warning, 17, GUARDED, page.width - 2 * layout.margin)
    top = layout.margin + layout.headings
    for index, row in enumerate(rows):
        if index:
            y = top - layout.between // 2
            draw.line([(layout.margin, y), (page.width - layout.margin, y)], fill=RULE)
        _draw_row(page, draw, row, layout, top)
        top += layout.row_height + layout.between
    halved = any(SheetHypothesis(*entry).halved for row in rows for entry in row.hypotheses)
    _draw_footer(draw, layout, page.size, rule, number, halved)
    return page


def best_first(row: SheetRow, room: int) -> tuple[list[SheetHypothesis], int]:
    """The tiles of a row and how many hypotheses are left out.

    All of them in their own order where they fit; otherwise the chosen one and the nearest others, by distance, with
    one tile kept free to say how many more there are.
    """
    tiles = [SheetHypothesis(*entry) for entry in row.hypotheses]
    if len(tiles) <= room:
        return tiles, 0

    def rank(tile: SheetHypothesis) -> tuple[object, ...]:
        out = tile.guarded or tile.halved
        return (not tile.selected, out, math.isnan(tile.distance), tile.distance, tile.hypothesis)

    ranked = sorted(tiles, key=rank)
    return ranked[: room - 1], len(tiles) - (room - 1)


def _draw_headings(draw: ImageDraw.ImageDraw, layout: SheetLayout) -> None:
    for heading, x in layout.column_x.items():
        draw.text((x, layout.margin - 8), heading, fill=INK, font=font_for(21), stroke_width=0.35, stroke_fill=INK)
    y = layout.margin + 26
    draw.line([(layout.margin, y), (layout.page_size(1)[0] - layout.margin, y)], fill=INK, width=2)


def _draw_row(page: Image.Image, draw: ImageDraw.ImageDraw, row: SheetRow, layout: SheetLayout, top: int) -> None:
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


def _draw_footer(
    draw: ImageDraw.ImageDraw, layout: SheetLayout, size: tuple[int, int], rule: str, number: int, halved: bool
) -> None:
    width, height = size
    y = height - layout.footer + 26
    font = font_for(15)
    x = float(layout.margin)
    draw.rectangle((x, y + 1, x + 14, y + 15), outline=CHOSEN, width=3)
    x = _after(draw, (x + 22, y), "chosen", font) + 26
    draw.rectangle((x, y + 1, x + 14, y + 15), outline=GUARDED, width=1)
    draw.line([(x, y + 15), (x + 14, y + 1)], fill=GUARDED, width=2)
    x = _after(draw, (x + 22, y), "outside the fidelity bound, cannot win", font) + 26
    x = _after(draw, (x, y), "faded: ended early by a rung", font) + 26 if halved else x
    _after(draw, (x, y), f"number under a hypothesis: {rule}, lower is better", font)
    draw.text((width - layout.margin, y), f"page {number}", fill=FAINT, font=font, anchor="ra")


def _after(draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, font: Font) -> float:
    draw.text(xy, text, fill=FAINT, font=font)
    return xy[0] + draw.textlength(text, font=font)


def _fit(pixels: np.ndarray, side: int) -> Image.Image:
    """The picture in a square of `side`: scaled to fit, centred on a light ground where it is not square."""
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
