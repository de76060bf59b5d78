"""The sheet has a place for everything, says what it leaves out, and is the same bytes for the same rows."""

import numpy as np
import pytest
from PIL import Image

from tasks.report.contact_sheet import ROWS_PER_PAGE, contact_sheet, draw_page
from tasks.report.lettering import format_distance, shorten
from tasks.report.sheet_layout import SheetHypothesis, SheetLayout, SheetRow, best_first
from tasks.report.sheet_row import CHOSEN, GUARDED

NAN = float("nan")


def picture(colour: tuple[int, int, int], height: int = 32, width: int = 32) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def row(distances: list[float], chosen: int = 0, guarded: tuple[int, ...] = (), **more: object) -> SheetRow:
    tiles = [
        SheetHypothesis(f"L05N{i:02d}", picture((200, 200, i)), value, i == chosen, i in guarded)
        for i, value in enumerate(distances)
    ]
    pictures = {"source": picture((255, 0, 0)), "exemplar": picture((0, 255, 0)), "warp": picture((0, 0, 255))}
    return SheetRow(
        **{"pair_id": "a__b__0", "hypotheses": tiles, "result": picture((9, 9, 9), 64, 64), **pictures, **more}
    )


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 20])
def test_nothing_overlaps_and_everything_is_on_the_page(count: int) -> None:
    layout = SheetLayout.for_counts(count)
    boxes = [
        (x, layout.input_offset, layout.input) for name, x in layout.column_x.items() if name in "Source Exemplar Warp"
    ]
    boxes += [(layout.column_x["Result"], 0, layout.result)]
    for index in range(layout.columns * layout.lines):
        dx, dy = layout.tile_origin(index)
        boxes.append((layout.column_x["Hypotheses"] + dx, dy, layout.tile + 1))
    width, _ = layout.page_size(1)
    for i, (x, y, side) in enumerate(boxes):
        assert x >= layout.margin and x + side <= width - layout.margin + 1
        assert y >= 0 and y + side <= layout.result + layout.label
        for u, v, other in boxes[:i]:
            assert x >= u + other or u >= x + side or y >= v + other or v >= y + side


def test_pictures_are_where_the_layout_says() -> None:
    layout, page = SheetLayout.for_counts(2), draw_page([row([1.0, 2.0])])
    top = layout.margin + layout.headings + layout.caption
    middle = layout.input // 2
    for name, colour in (("Source", (255, 0, 0)), ("Exemplar", (0, 255, 0)), ("Warp", (0, 0, 255))):
        assert page.getpixel((layout.column_x[name] + middle, top + layout.input_offset + middle)) == colour
    assert page.getpixel((layout.column_x["Result"] + 5, top + 5)) == (9, 9, 9)
    assert page.size == layout.page_size(1)


def test_the_chosen_is_framed_and_the_guarded_struck_through() -> None:
    def marks(sheet: SheetRow) -> set[tuple[int, int, int]]:
        layout, page = SheetLayout.for_counts(2), draw_page([sheet])
        box = (layout.column_x["Hypotheses"] - 8, layout.margin + layout.headings, layout.column_x["Result"] - 8)
        return {colour for _, colour in page.crop((*box, page.height - layout.footer)).getcolors(1 << 20)}

    chosen, guarded = (tuple(bytes.fromhex(colour[1:])) for colour in (CHOSEN, GUARDED))
    assert chosen in marks(row([1.0, 2.0])) and guarded not in marks(row([1.0, 2.0]))
    assert guarded in marks(row([1.0, 2.0], guarded=(1,)))
    assert chosen not in marks(row([1.0, 2.0], chosen=-1))


def test_few_hypotheses_keep_their_order() -> None:
    tiles, more = best_first(row([3.0, 1.0, 2.0]), 6)
    assert [tile.hypothesis for tile in tiles] == ["L05N00", "L05N01", "L05N02"] and more == 0


def test_of_many_the_chosen_and_the_nearest_are_shown() -> None:
    distances = [NAN, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5]
    tiles, more = best_first(row(distances, chosen=4, guarded=(6,)), 4)
    assert [tile.hypothesis for tile in tiles] == ["L05N04", "L05N05", "L05N03"] and more == 4


def test_twenty_hypotheses_failures_odd_sizes_and_odd_names_draw() -> None:
    sheet = row(
        [NAN, *np.linspace(1, 2, 19)], chosen=1, exemplar=picture((1, 2, 3), 20, 60), caption="日本 + é\n.png" * 30
    )
    blank = [SheetHypothesis("L09N90", None, NAN, failed=True), SheetHypothesis("L09N91", None, 0.5)]
    assert draw_page([sheet, row([]), SheetRow(**{**vars(sheet), "hypotheses": blank})]).size[1] > 0


def test_pages_are_reproducible_and_stale_ones_go(tmp_path) -> None:
    path = tmp_path / "contact_sheet.png"
    pages = contact_sheet((row([1.0]) for _ in range(ROWS_PER_PAGE + 1)), path)
    assert [page.name for page in pages] == ["contact_sheet.png", "contact_sheet_002.png"]
    with Image.open(pages[1]) as second:
        assert second.size == SheetLayout.for_counts(1).page_size(1)
    assert contact_sheet([row([1.0])], path) == [path]
    assert [entry.name for entry in tmp_path.iterdir()] == ["contact_sheet.png"]
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    contact_sheet([row([1.0])], path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_no_rows_write_nothing(tmp_path) -> None:
    assert contact_sheet([], tmp_path / "sheet.png") == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.0123"), (1234.5, "1234"), (4.5678, "4.57"), (0.0, "0.00"), (NAN, "-"), (2e-7, "2.00e-07")],
)
def test_distances_have_three_digits(value: float, text: str) -> None:
    assert format_distance(value) == text


def test_long_text_loses_its_middle() -> None:
    assert shorten("abcdefghij", 5) == "ab…ij" and shorten("abc", 5) == "abc"
