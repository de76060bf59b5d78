"""The tidy table of an evaluation, from its runs and from what their sets are measured as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mgi.metrics.reduced import Estimate
from tasks.suites.frame import frame_of, not_run_row, pair_rows, published_rows, set_rows
from tasks.suites.sets import (
    ImageSet,
    folder_set,
    measure_sets,
    metric_of_sets,
    pictures_of_side,
    results_of,
    side_of,
)
from tasks.suites.suite import REFERENCES, Suite
from tasks.unit import Job

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
    references = _references(suite, runs) if metrics and runs else {}
    results = {name: images for name, run in runs.items() if metrics and len(images := results_of(run))}
    found: dict[str, dict[str, Estimate]] = {}
    for reference in dict.fromkeys(references.values()):
        sharing = {name: images for name, images in results.items() if references[name] is reference}
        found |= measure_sets(metrics, sharing, reference, Path(out) / CACHE, say)
    for name, run in runs.items():
        rows += pair_rows(suite, name, run)
        if name in results:
            rows += set_rows(suite, name, run, found[name], results[name], references[name])
    rows += [not_run_row(suite, name, reason) for name, reason in absent.items()]
    rows += published_rows(suite)
    return frame_of(rows)


def _references(suite: Suite, runs: Mapping[str, str]) -> dict[str, ImageSet]:
    """What the set of each run is compared with: all with the same, if their pairs are of the same pictures.

    Runs that are there may be of others, or inversions, which have sources alone: those are compared with their own.
    """
    if suite.reference not in REFERENCES:
        return dict.fromkeys(runs, folder_set(suite.reference))
    found: list[tuple[set[str], ImageSet]] = []
    references: dict[str, ImageSet] = {}
    for name, run in runs.items():
        side = suite.reference if Job.of_folder(run).open().config.task == "translate" else "sources"
        pictures = pictures_of_side(run, side)
        shared = next((images for known, images in found if known & pictures), None)
        if shared is None:
            shared = side_of(run, side)
            found.append((pictures, shared))
        references[name] = shared
    return references
