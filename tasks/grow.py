"""Growing a run: what `tasks.growth` decided is written into its folder, and what it makes void is taken back.

A change counts from the moment it is in `run.json`, not yet applied. `settle` takes back what it makes void and then
says that it is applied; a process that is killed before leaves that to the next one that opens the run for work.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from storage.extend import extend, mark_applied
from storage.run_changes import unapplied
from storage.run_store import ArraySpec, RunStore
from tasks.growth import HYPOTHESES, PAIRS, SELECTION, Growth
from tasks.report.video import video_path
from tasks.stages.plan import versions
from tasks.stages.select import SET_RULE, final_path
from tasks.unit import INVERT, REPORT, SCORE, SELECT, OpenRun


def grow(store: RunStore, growth: Growth, layout: Mapping[str, Any] | None = None) -> RunStore:
    """Write a growth into the run's folder, whole or not at all; `tasks.settle` then draws its consequences.

    For the process that holds the run's lock.

    Args:
        store: the run, as the growth was decided on.
        growth: what is added.
        layout: `tasks.method.layout_of` the grown configuration; needed where hypotheses are added.

    Raises:
        storage.run_store.RunConflict: another process changed the run since. OSError: it cannot be written.
    """
    arrays = {
        f"{name}/{hypothesis}": ArraySpec(tuple(shape), dtype)
        for hypothesis in growth.added(HYPOTHESES)
        for name, (shape, dtype) in (layout or {})["arrays"][hypothesis].items()
    }
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    common = {"when": now, "mgi": versions()["mgi"], "applied": False}
    changes = [common | {"what": c.what, "set": c.set, "added": list(c.added)} for c in growth.changes]
    return extend(store, growth.pairs, arrays, changes)


def settle(run: OpenRun) -> list[dict[str, Any]]:
    """Take back what the run's latest changes make void, so that the stages make it again, and say that it is done.

    New hypotheses: scores and choices of all pairs; pairs that failed for want of a good hypothesis get another chance.
    Another choice: all choices and their pictures. New pairs: nothing, unless the rule compares whole sets. Warps and
    inversions always stay. Pictures of results stay until a better hypothesis replaces them, but none of another rule
    does.

    For the process that holds the run's lock, before it decides what is left to do.

    Returns:
        The changes that are applied now and were not, as `storage.run_changes` has them; empty as a rule.
    """
    store, changes = run.store, unapplied(run.store.header)
    if not changes:
        return []
    kinds = {change["what"] for change in changes}
    store.forget(REPORT, REPORT)
    if kinds != {PAIRS} or run.config.selection.rule == SET_RULE:
        for pair_id in run.pair_ids():
            if SELECTION in kinds:
                final_path(store.path, pair_id).unlink(missing_ok=True)
            video_path(store.path, pair_id).unlink(missing_ok=True)
            store.forget(SELECT, pair_id)
            if HYPOTHESES in kinds:
                store.forget(SCORE, pair_id)
    failed_in = {INVERT, SCORE, SELECT} if HYPOTHESES in kinds else {SELECT} if SELECTION in kinds else set()
    for pair_id, entry in store.quarantined().items():
        if entry.stage in failed_in:
            store.release(pair_id)
    mark_applied(store)
    return changes


def split_groups(groups: Sequence[Sequence[str]], header: Mapping[str, Any]) -> list[list[str]]:
    """Groups of hypotheses that are inverted by the same call, split by when the run got them.

    Where hypotheses compete (`inversion.rungs`) or help each other (`warm_start`), those that came later do so among
    themselves: the earlier ones have finished, and keep what they came to.

    Args:
        groups: ids of the hypotheses of each call, as a method announces them for all that the run has now.
        header: the run's.
    """
    additions = [change["added"] for change in header["changes"] if change["what"] == HYPOTHESES]
    came = {id: number for number, added in enumerate(additions, 1) for id in added}
    parts = [
        [id for id in group if came.get(id, 0) == number] for group in groups for number in range(len(additions) + 1)
    ]
    return [part for part in parts if part]
