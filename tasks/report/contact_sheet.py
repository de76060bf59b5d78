"""The contact sheet: one row per pair, from inputs to result, as a figure that can be read at a glance.

A row reads left to right like the method's figures: source, exemplar, warp, the hypotheses with their distances
(the chosen one framed, those that a guard ruled out faded and struck through), and the result, larger.
`SheetLayout` places everything, so the drawing and the size of the page cannot disagree.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw

from storage.atomic import write_bytes
from tasks.report.lettering import Font, draw_line, font_for
from tasks.report.sheet_layout import SheetHypothesis, SheetLayout, SheetRow
from tasks.report.sheet_row import CHOSEN, FAINT, GUARDED, INK, PAPER, draw_row

ROWS_PER_PAGE = 12
RULE = "#d9dce1"


def contact_sheet(
    rows: Iterable[SheetRow], path: str | Path, *, rule: str = "distance", warning: str | None = None, note: str = ""
) -> list[Path]:
    """Write the sheet of `rows` to `path` (PNG), 12 pairs a page: sheet.png, sheet_002.png, ...

    Rows are consumed a page at a time, so the rows of a long run are never all in memory.

    Args:
        rows: the pairs, in the order to show them.
        path: file of the first page.
        rule: name of the selection rule whose distances the rows carry, for the legend.
        warning: what stands above the headings of every page.
        note: the same, of less weight; behind the warning where there is one.

    Returns:
        The pages that were written. Later pages of an earlier, longer sheet are removed.
    """
    first = Path(path)
    pages = []
    for number, page_rows in enumerate(_pages(iter(rows)), start=1):
        page = first if number == 1 else first.with_name(f"{first.stem}_{number:03d}{first.suffix}")
        buffer = io.BytesIO()
        draw_page(page_rows, rule=rule, number=number, warning=warning, note=note).save(buffer, "PNG", compress_level=3)
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
    rows: Sequence[SheetRow], *, rule: str = "distance", number: int = 1, warning: str | None = None, note: str = ""
) -> Image.Image:
    """One page of the sheet as an RGB image."""
    layout = SheetLayout.for_counts(max(len(row.hypotheses) for row in rows), tuple(rows[0].inputs))
    page = Image.new("RGB", layout.page_size(len(rows)), PAPER)
    draw = ImageDraw.Draw(page)
    _draw_headings(draw, layout)
    if head := "; ".join(filter(None, (warning, note))):
        draw_line(draw, (layout.margin, 8), head, 17, GUARDED if warning else FAINT, page.width - 2 * layout.margin)
    top = layout.margin + layout.headings
    for index, row in enumerate(rows):
        if index:
            y = top - layout.between // 2
            draw.line([(layout.margin, y), (page.width - layout.margin, y)], fill=RULE)
        draw_row(page, draw, row, layout, top)
        top += layout.row_height + layout.between
    halved = any(SheetHypothesis(*entry).halved for row in rows for entry in row.hypotheses)
    _draw_footer(draw, layout, page.size, rule if layout.columns else None, number, halved)
    return page


def _draw_headings(draw: ImageDraw.ImageDraw, layout: SheetLayout) -> None:
    for heading, x in layout.column_x.items():
        draw.text((x, layout.margin - 8), heading, fill=INK, font=font_for(21), stroke_width=0.35, stroke_fill=INK)
    y = layout.margin + 26
    draw.line([(layout.margin, y), (layout.page_size(1)[0] - layout.margin, y)], fill=INK, width=2)


def _draw_footer(
    draw: ImageDraw.ImageDraw, layout: SheetLayout, size: tuple[int, int], rule: str | None, number: int, halved: bool
) -> None:
    width, height = size
    y = height - layout.footer + 26
    font = font_for(15)
    draw.text((width - layout.margin, y), f"page {number}", fill=FAINT, font=font, anchor="ra")
    if rule is None:  # a method that tries no hypotheses
        return
    x = float(layout.margin)
    draw.rectangle((x, y + 1, x + 14, y + 15), outline=CHOSEN, width=3)
    x = _after(draw, (x + 22, y), "chosen", font) + 26
    draw.rectangle((x, y + 1, x + 14, y + 15), outline=GUARDED, width=1)
    draw.line([(x, y + 15), (x + 14, y + 1)], fill=GUARDED, width=2)
    x = _after(draw, (x + 22, y), "outside the bounds, cannot win", font) + 26
    x = _after(draw, (x, y), "faded: ended early by a rung", font) + 26 if halved else x
    _after(draw, (x, y), f"number under a hypothesis: {rule}, lower is better", font)


def _after(draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, font: Font) -> float:
    draw.text(xy, text, fill=FAINT, font=font)
    return xy[0] + draw.textlength(text, font=font)
