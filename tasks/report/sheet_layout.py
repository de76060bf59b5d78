"""What a row of the contact sheet holds, and where everything on a page lies: nothing here draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


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

    A picture that was inverted as it is has no exemplar; `warp` is what was observed of it, or None where the method
    made none.
    """

    pair_id: str
    source: np.ndarray
    exemplar: np.ndarray | None
    warp: np.ndarray | None
    hypotheses: Sequence[SheetHypothesis | tuple[str, np.ndarray | None, float, bool, bool]]
    result: np.ndarray
    caption: str = ""

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """What went in, by heading."""
        if self.exemplar is None:
            pictures = {"Picture": self.source, "Observed": self.warp}
        else:
            pictures = {"Source": self.source, "Exemplar": self.exemplar, "Warp": self.warp}
        return {heading: picture for heading, picture in pictures.items() if picture is not None}


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
        """The layout for rows of at most `most` hypotheses: none, one line of large tiles, or two of small ones."""
        if most <= 3:
            return cls(columns=most, lines=1, tile=256, headings_of_inputs=tuple(inputs))
        columns = min(5, math.ceil(most / 2))
        return cls(columns=columns, lines=2, tile=160, headings_of_inputs=tuple(inputs))

    @property
    def row_height(self) -> int:
        """Of the caption, the result and the line under it."""
        return self.caption + self.result + self.label

    @property
    def hypotheses_width(self) -> int:
        """Of one line of tiles, with the gutter after it; 0 where the method tries no hypotheses."""
        if not self.columns:
            return 0
        return self.gutter + self.columns * self.tile + (self.columns - 1) * self.gap

    @property
    def column_x(self) -> dict[str, int]:
        """Left edge of every column, by heading."""
        step = self.input + self.gap
        tiles = self.margin + len(self.headings_of_inputs) * step - self.gap + self.gutter
        return {
            **{heading: self.margin + place * step for place, heading in enumerate(self.headings_of_inputs)},
            **({"Hypotheses": tiles} if self.columns else {}),
            "Result": tiles + self.hypotheses_width,
        }

    def page_size(self, rows: int) -> tuple[int, int]:
        """Width and height of a page of `rows` rows."""
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
