"""What the flow run of a run shows at its end: tables of results and metrics, the picture, and where the report is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from prefect import State, get_run_logger

from flows.pipeline import Summary
from flows.progress import INVERTED
from flows.watching.artifacts import Place, show_link, show_picture, show_quarantine, show_table, show_text
from flows.watching.concluded import done, log_failure

RESULTS = ["pair_id", "source", "exemplar", "state", "method", "hypothesis", "rule", "value", "seconds"]
"""Columns of the table of results that come before those of the metrics."""


def conclude_run(place: Place, summary: Summary, more: list[str]) -> State[Any]:
    """Show how a run stands and name the flow run's state.

    Args:
        place: whose artifacts they are.
        summary: how the run stands.
        more: what else was done, a line each.
    """
    line = _line(summary)
    log_failure(get_run_logger(), lambda: _show(place, summary, [line, *more]))
    return done(summary.as_dict(), "; ".join([line, *more]), len(summary.quarantined))


def _line(summary: Summary) -> str:
    pairs = INVERTED["pairs"] if summary.task == "invert" else "pairs"
    said = f"{summary.done} of {summary.pairs} {pairs} done in {summary.run}"
    if summary.quarantined:
        said += f", {len(summary.quarantined)} in quarantine (quarantine.csv says why)"
    return said + (f"; {summary.run} is behind: {summary.behind}" if summary.behind else "")


def _show(place: Place, summary: Summary, lines: list[str]) -> None:
    folder = Path(summary.copy or summary.run)
    if summary.report:
        show_link(place, "report", summary.report, "The report of the run")
        lines = [*lines, f"report: `{summary.report}`"]
    show_text(place, "summary", lines, "How the run stands")
    if (sheet := folder / "contact_sheet.png").is_file():
        show_picture(place, "contact-sheet", sheet, "Sources, exemplars, warps, hypotheses and results")
    if (file := folder / "tables" / "pairs.parquet").is_file():
        show_table(place, "results", _results(pd.read_parquet(file)), f"Pairs of {summary.run}")
    if (file := folder / "tables" / "metrics.parquet").is_file() and len(metrics := pd.read_parquet(file)):
        show_table(place, "metrics", means(metrics), f"Means over the pairs of {summary.run}")
    if summary.quarantined:
        show_quarantine(place, summary.quarantined)


def _results(pairs: pd.DataFrame) -> pd.DataFrame:
    """Columns that people look at, as far as any pair has them: the metrics are the numbers after the known ones."""
    numbers = [name for name in pairs.select_dtypes("number").columns if name not in (*RESULTS, *_OTHER)]
    return pairs[[name for name in [*RESULTS, *numbers] if name in pairs and pairs[name].notna().any()]]


_OTHER = ("index", "working_mib", "oeft_seconds")


def means(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per metric: mean, spread, and how many pairs have it."""
    found = metrics.groupby(["metric", "unit", "higher_is_better"], sort=False, dropna=False)["value"]
    table = found.agg(mean="mean", median="median", sd="std", pairs="count").reset_index()
    return table.rename(columns={"higher_is_better": "higher is better"})
