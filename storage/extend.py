"""A run grows: rows in its plan, rows and arrays in its store, changes in its header.

`run.json` is written last and alone decides. Before that, nobody reads the new rows of the arrays, nobody looks for
arrays of new hypotheses, and rows of the plan with a later number than the last change do not count. So a growth that
is killed at any moment leaves the old run, and the next one overwrites its traces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from storage import plan_table, run_header
from storage.array_spec import ArraySpec, with_dims
from storage.atomic import write_bytes
from storage.chunks import array_metadata
from storage.plan_table import PLAN
from storage.run_changes import applied
from storage.run_header import RunConflict
from storage.run_layout import DESCRIPTION, LAYOUT, array_names, description_files, is_labelled, layout_of
from storage.run_store import RunStore


def extend(
    store: RunStore, pairs: pd.DataFrame, arrays: Mapping[str, ArraySpec], changes: Sequence[dict[str, Any]]
) -> RunStore:
    """Add pairs, arrays and changes to a run, all of them or none. No chunk is touched.

    For the process that holds `store.lock()`.

    Args:
        store: the run.
        pairs: columns `id`, `source`, `exemplar` of the pairs to add; they get the indices after the last one.
        arrays: arrays that the run lacks, and what they hold per pair.
        changes: what is added to the header, see `storage.run_changes`.

    Returns:
        The grown run.

    Raises:
        RunConflict: the run is no longer the one that `store` opened. ValueError: a pair is already there.
        OSError: the folder cannot be written; the run is the old one.
    """
    if run_header.read(store.path / "run.json") != store.header:
        raise RunConflict(f"{store.path} was changed by another process at this moment; run the command again")
    number = len(store.header["changes"]) + len(changes)
    plan = _longer_plan(store, pairs, number)
    folder = store.path / "run.zarr"
    names = [*array_names(store.layout), *arrays] if is_labelled(store.layout) else None
    for name, spec in arrays.items():
        named = with_dims(name, spec) if names else ArraySpec(spec.shape, spec.dtype)  # all arrays of a run, or none
        write_bytes(folder / name / DESCRIPTION, array_metadata(len(plan), named, store.block))
    if len(pairs):
        for path in description_files(store.path, names):
            _lengthen(path, len(plan))
        plan_table.write(store.path / PLAN, plan)
    layout = layout_of(store.path, number, names)
    grown = {**store.header, "changes": [*store.header["changes"], *changes], LAYOUT: layout}
    run_header.write(store.path / "run.json", grown)
    return RunStore.open(store.path)


def mark_applied(store: RunStore) -> RunStore:
    """Say that nothing is left to do of the run's changes. For the process that holds `store.lock()`."""
    run_header.write(store.path / "run.json", applied(store.header))
    return RunStore.open(store.path)


def _longer_plan(store: RunStore, pairs: pd.DataFrame, number: int) -> pd.DataFrame:
    """The plan with `pairs` at its end, and the number of the change that added each pair (0: it was there first)."""
    changes, start = enumerate(store.header["changes"], 1), len(store.pairs)
    came = {id: change for change, entry in changes if entry["what"] == "pairs" for id in entry["added"]}
    old = store.pairs.assign(change=[came.get(id, 0) for id in store.pairs["id"]])
    new = pairs[["id", "source", "exemplar"]].assign(index=range(start, start + len(pairs)), change=number)
    plan = pd.concat([old, new[list(old.columns)]], ignore_index=True)
    if not plan["id"].is_unique:
        raise ValueError("expected pairs that the run does not have yet")
    return plan


def _lengthen(path: Path, pairs: int) -> None:
    """Give the array with this metadata file one row per pair; a group is left as it is."""
    metadata = json.loads(path.read_bytes())
    if metadata["node_type"] == "array":
        metadata["shape"][0] = pairs
        write_bytes(path, json.dumps(metadata, indent=2).encode())
