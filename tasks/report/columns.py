"""What a run measured, as columns of its tables and of its page."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from mgi.config import RULES, RunConfig
from mgi.translators.needs import LANE_METRICS
from storage.tables import Measured
from tasks.report.rows import RunRows

SHOWN = 500
"""Pairs in the page's table of metrics; tables/metrics.csv has all."""


def measured_of(rows: RunRows) -> Measured:
    """The names of everything that the run's tables have columns for."""
    return Measured(RULES, LANE_METRICS, tuple(dict.fromkeys(row["metric"] for row in rows.metrics)))


def lane_columns(config: RunConfig, measured: Measured) -> list[tuple[str, str]]:
    """(key, heading) of the numbers in the page's table of hypotheses."""
    metrics = [(f"{name}_{when}", f"{name} {when}") for name in measured.lanes for when in ("before", "after")]
    rule = config.selection.rule
    return [(rule, rule), ("loss", "loss"), *metrics, ("seconds", "seconds")]


def metric_section(rows: RunRows) -> dict[str, Any]:
    """The page's table of metrics: what each is, its mean over the pairs, and every pair's numbers."""
    by_metric: dict[str, list[dict[str, Any]]] = {}
    for row in rows.metrics:
        by_metric.setdefault(row["metric"], []).append(row)
    columns = [_column(name, found) for name, found in by_metric.items()]
    titles = {pair["pair_id"]: pair for pair in rows.pairs}
    pairs = list(dict.fromkeys(row["pair_id"] for row in rows.metrics))
    return {
        "columns": columns,
        "pairs": [titles[pair_id] for pair_id in pairs[:SHOWN]],
        "more": max(0, len(pairs) - SHOWN),
    }


def _column(name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    values = [row["value"] for row in found if row.get("value") is not None]
    said = next((row for row in found if row.get("summary")), {})
    higher = said.get("higher_is_better")
    return {
        "name": name,
        "arrow": "" if higher is None else "↑" if higher else "↓",
        "unit": said.get("unit") or "",
        "summary": said.get("summary") or "",
        "mean": fmean(values) if values else None,
        "count": len(values),
        "failed": sum(1 for row in found if row.get("failed")),
        "reason": next((row["failed"] for row in found if row.get("failed")), ""),
    }
