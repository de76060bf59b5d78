"""The tidy table of an evaluation, from its runs and from what their sets are measured as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.suites.frame import frame_of, not_run_row, pair_rows, published_rows, set_rows
from tasks.suites.sets import ImageSet, folder_set, measure_sets, metric_of_sets, results_of, side_of
from tasks.suites.suite import REFERENCES, Suite

CACHE = "sets"
"""Folder of what sets were reduced to."""


def table_of(
    suite: Suite, out: str, runs: Mapping[str, str], absent: Mapping[str, str], say: Callable[[str], None]
) -> pd.DataFrame:
    """Every number of an evaluation.

    Args:
        suite: what is measured.
        out: folder of the evaluation, which keeps what sets were reduced to.
        runs: {method: folder of its run}.
        absent: {method: why it was not run}.
        say: told what takes long.
    """
    rows: list[dict[str, Any]] = []
    metrics = [metric_of_sets(name, "sets") for name in suite.sets]
    reference = _reference(suite, runs) if metrics and runs else None
    results = {name: images for name, run in runs.items() if metrics and len(images := results_of(run))}
    found = measure_sets(metrics, results, reference, Path(out) / CACHE, say)
    for name, run in runs.items():
        rows += pair_rows(suite, name, run)
        if name in results:
            rows += set_rows(suite, name, run, found[name], results[name], reference)
    rows += [not_run_row(suite, name, reason) for name, reason in absent.items()]
    rows += published_rows(suite)
    return frame_of(rows)


def _reference(suite: Suite, runs: Mapping[str, str]) -> ImageSet:
    if suite.reference in REFERENCES:
        side = suite.reference if suite.task == "translate" else "sources"
        return side_of(next(iter(runs.values())), side)
    return folder_set(suite.reference)
