"""What a run measured, as columns of its tables and of its page."""

from __future__ import annotations

import math
from typing import Any

from mgi.config import RULES, RunConfig
from mgi.metrics.registry import PAIR_METRICS
from mgi.translators.needs import LANE_METRICS
from storage.tables import Measured
from tasks.report.rows import Block

MEASURED = Measured(RULES, LANE_METRICS, PAIR_METRICS)
"""What has columns in the tables of any run."""


def lane_columns(config: RunConfig) -> list[tuple[str, str]]:
    """(key, heading) of the numbers in the page's table of hypotheses."""
    metrics = [(f"{name}_{when}", f"{name} {when}") for name in MEASURED.lanes for when in ("before", "after")]
    rule = config.selection.rule
    return [(rule, rule), ("loss", "loss"), *metrics, ("seconds", "seconds")]


class MetricSection:
    """What each metric is, and its mean and range over all pairs."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}

    def add(self, block: Block) -> None:
        """See some more pairs."""
        by_metric: dict[str, list[dict[str, Any]]] = {}
        for row in block.metrics:
            by_metric.setdefault(row["metric"], []).append(row)
        for name, rows in by_metric.items():
            self._columns.setdefault(name, _Column(name)).add(rows)

    def shown(self) -> list[dict[str, Any]]:
        """The metrics as the template takes them."""
        return [column.shown() for column in self._columns.values()]


class _Column:
    """One metric over all pairs."""

    def __init__(self, name: str) -> None:
        self._name, self._said, self._reason = name, dict[str, Any](), ""
        self._total, self._count, self._failed = 0.0, 0, 0
        self._low, self._high = math.inf, -math.inf

    def add(self, rows: list[dict[str, Any]]) -> None:
        values = [row["value"] for row in rows if row.get("value") is not None]
        self._total, self._count = math.fsum([self._total, *values]), self._count + len(values)
        self._low, self._high = min([self._low, *values]), max([self._high, *values])
        reasons = [row["failed"] for row in rows if row.get("failed")]
        self._failed, self._reason = self._failed + len(reasons), self._reason or next(iter(reasons), "")
        self._said = self._said or next((row for row in rows if row.get("summary")), {})

    def shown(self) -> dict[str, Any]:
        higher = self._said.get("higher_is_better")
        return {
            "name": self._name,
            "arrow": "" if higher is None else "↑" if higher else "↓",
            "unit": self._said.get("unit") or "",
            "summary": self._said.get("summary") or "",
            "better": "" if higher is None else "higher" if higher else "lower",
            "mean": self._total / self._count if self._count else None,
            "low": self._low if self._count else None,
            "high": self._high if self._count else None,
            "count": self._count,
            "failed": self._failed,
            "reason": self._reason,
        }
