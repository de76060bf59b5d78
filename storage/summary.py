"""Hypotheses over all pairs, of which only counts and sums are held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from storage.tables import Measured, Rows

LEAF = 4096
"""Values that are held until they are added up together."""


class Sums:
    """Sums of columns of numbers in which some are missing, with errors that grow with the logarithm of their length.

    Up to `LEAF` rows they are NumPy's, bit for bit; sums of more are added in pairs, as NumPy does.
    """

    def __init__(self, columns: int) -> None:
        self._leaf = np.empty((columns, LEAF))
        self._held = 0
        self._sums: list[tuple[int, np.ndarray]] = []
        self._there = np.zeros(columns, np.int64)

    def add(self, row: Sequence[float | None]) -> None:
        """One value per column; None or NaN for a missing one."""
        self._leaf[:, self._held] = row
        self._held += 1
        if self._held == LEAF:
            there, total = _sum(self._leaf)
            self._held, size = 0, 1
            self._there += there
            while self._sums and self._sums[-1][0] == size:
                total, size = self._sums.pop()[1] + total, 2 * size
            self._sums.append((size, total))

    @property
    def sums(self) -> np.ndarray:
        """float64 [columns]."""
        total = _sum(self._leaf[:, : self._held])[1]
        for _, before in reversed(self._sums):
            total = before + total
        return total

    @property
    def means(self) -> np.ndarray:
        """float64 [columns]; NaN where nothing was measured."""
        there = self._there + _sum(self._leaf[:, : self._held])[0]
        return np.where(there > 0, self.sums / np.maximum(there, 1), np.nan)


def _sum(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many values of each row are not missing, and their sum."""
    there = ~np.isnan(values)
    return there.sum(axis=1), np.where(there, values, 0.0).sum(axis=1)


class Summary:
    """Rows of the table of hypotheses over all pairs, from those of the table of hypotheses."""

    def __init__(self, measured: Measured) -> None:
        self._means = measured.means
        self._seconds = self._means.index("seconds")
        self._counts: dict[str, dict[str, Any]] = {}
        self._sums: dict[str, Sums] = {}

    def add(self, lanes: Rows) -> None:
        """See some more lanes."""
        for lane in lanes:
            name = lane["hypothesis"]
            if name not in self._counts:
                which = {key: lane[key] for key in ("hypothesis", "composing_layer", "num_codes")}
                self._counts[name] = which | dict.fromkeys(("lanes", "wins", "guarded", "failed"), 0)
                self._sums[name] = Sums(len(self._means))
            counts = self._counts[name]
            counts["lanes"] += 1
            counts["wins"] += bool(lane.get("selected"))
            counts["guarded"] += bool(lane.get("guarded"))
            counts["failed"] += lane.get("failed") is not None
            self._sums[name].add([lane.get(key) for key in self._means])

    def rows(self) -> list[dict[str, Any]]:
        """One per hypothesis, in the order of their first lanes, for `storage.tables.summary_table`."""
        rows = []
        for name, counts in self._counts.items():
            sums, means = self._sums[name].sums, self._sums[name].means
            named = {f"mean {key}": float(mean) for key, mean in zip(self._means, means, strict=True)}
            rows.append(counts | named | {"total seconds": float(sums[self._seconds])})
        return rows
