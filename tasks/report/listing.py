"""The pairs as the page lists them: a short row of each inside the page, and a file of its own with all the rest.

Only the rows are loaded when the page opens, so it opens at once however many pairs it lists; `RUN/report/ID/pair.js`
follows when a pair is looked at. A script and not JSON, because a page that was opened from a disk may load no data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import numpy as np

from mgi.config import RunConfig
from storage.run_store import RunStore
from tasks.report.pair_view import PairViews
from tasks.report.pictures import Pictures

LISTED = 5000
"""Pairs that the page lists. All pairs are in the tables, all results in final/."""
GALLERY = 48
"""Finished pairs of which the hypotheses that lost are rendered, and which the contact sheet shows."""

PICTURES = {"source": "s", "exemplar": "e", "warp": "w", "confidence": "c", "result": "r"}
"""How a row says which pictures there are."""


class Listing:
    """The rows of the pairs that were seen, at most `LISTED`; their files are written on the way."""

    def __init__(self, store: RunStore, config: RunConfig, pictures: Pictures, metrics: list[dict[str, Any]]) -> None:
        """`metrics`: as `MetricSection.shown`."""
        self._config = config
        self._views = PairViews(store, config, pictures)
        self.columns = [
            *([_column("value", config.selection.rule, "lower")] if config.searches else []),
            *([_column("matched_share", "matched share", "higher")] if _matched(config) else []),
            *(_column(metric["name"], metric["name"], metric["better"], metric["unit"]) for metric in metrics),
            _column("seconds", "seconds", "", "s"),
        ]
        self.rows: list[list[Any]] = []
        self.gallery: list[dict[str, Any]] = []
        """What the contact sheet shows."""
        self.losses: dict[str, list[np.ndarray]] = {}
        """Loss curves of the gallery, by hypothesis."""

    def add(self, pairs: Iterable[dict[str, Any]], lanes: Iterable[dict[str, Any]], unwarped: set[str]) -> None:
        """See some more pairs, as `tasks.report.rows` reads them."""
        of_pair = {id: list(own) for id, own in groupby(lanes, lambda lane: lane["pair_id"])}
        for pair in pairs:
            if len(self.rows) >= LISTED:
                return
            shown: dict[str, str] = {}
            if pair["state"] == "done":
                close = len(self.gallery) < GALLERY
                id = pair["pair_id"]
                view, losses = self._views.view(pair, of_pair.get(id, []), id not in unwarped, close)
                shown = view["pictures"]
                if close:
                    self.gallery.append(view)
                    for name, curve in losses.items():
                        self.losses.setdefault(name, []).append(curve)
            marks = "".join(mark for name, mark in PICTURES.items() if name in shown)
            numbers = [_short(pair.get(column["key"])) for column in self.columns]
            told = [pair["pair_id"], pair["source"], pair["exemplar"], pair["state"], pair.get("hypothesis") or ""]
            self.rows.append([*told, marks, numbers, pair.get("reason") or ""])

    def shown(self) -> dict[str, Any]:
        """What the page's script gets."""
        lane_columns = [{"key": key, "name": heading} for key, heading in self._views.columns]
        return {
            "task": self._config.task,
            "rule": self._config.selection.rule if self._config.searches else "",
            "method": self._config.method,
            "columns": self.columns,
            "laneColumns": lane_columns,
            "pairs": self.rows,
        }


def _column(key: str, name: str, better: str, unit: str = "") -> dict[str, str]:
    return {"key": key, "name": name, "better": better, "unit": unit}


def _matched(config: RunConfig) -> bool:
    return config.task == "translate" and config.searches and config.warp.judged


def _short(value: Any) -> float | None:
    """Six digits: what people compare, at half the size."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")
