"""Growing a run: what `tasks.growth` decided is written into its folder, and what it makes void is taken back.

A change counts from the moment it is in `run.json`, not yet applied. `settle` takes back what it makes void and then
says that it is applied; if a process is killed before that, the next one that opens the run for work does it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from mgi.config import ConfigError
from storage.extend import extend, mark_applied
from storage.run_changes import HYPOTHESES, SELECTION, unapplied
from storage.run_store import RunStore
from tasks.growth import Growth
from tasks.method import Layout
from tasks.report.video import video_paths
from tasks.stages.base import Stage
from tasks.stages.invert import array_name
from tasks.stages.ledger import Ledger
from tasks.stages.report import PAGES
from tasks.unit import INVERT, REPORT, SCORE, SELECT, OpenRun
from tasks.versions import versions

VOID = {HYPOTHESES: SCORE, SELECTION: SELECT}
"""{kind of change: the first stage that it makes void}. New pairs only touch stages that choose for the whole set."""


def grow(store: RunStore, growth: Growth, layout: Layout | None = None) -> RunStore:
    """Write a growth into the run's folder, whole or not at all; `settle` then takes back what it makes void.

    For the process that holds the run's lock.

    Args:
        store: the run, as the growth was decided on.
        growth: what is added.
        layout: `tasks.method.layout_of` the grown configuration; needed if hypotheses are added.

    Raises:
        storage.run_store.RunConflict: another process changed the run since. OSError: it cannot be written.
    """
    lanes = layout.arrays if layout else {}
    arrays = {array_name(name, id): spec for id in growth.added(HYPOTHESES) for name, spec in lanes[id].items()}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    common = {"when": now, "mgi": versions()["mgi"], "applied": False}
    changes = [common | {"what": c.what, "set": c.set, "added": list(c.added)} for c in growth.changes]
    return extend(store, growth.pairs, arrays, changes)


def settle(ledger: Ledger) -> list[dict[str, Any]]:
    """Take back what the run's latest changes make void, so the stages make it again, and mark the changes as applied.

    New hypotheses: scores, and what comes after them, of all pairs; pairs that failed for lack of a good hypothesis get
    another chance. Another choice: all choices with their pictures, and what comes after them. New pairs: nothing,
    unless the rule compares whole sets. Warps and inversions always stay. Pictures of results stay until a better
    hypothesis replaces them, but none of another rule does.

    For the process that holds the run's lock, before it decides what is left to do.

    Returns:
        The changes that are applied now and were not, as in `storage.run_changes`; usually empty.
    """
    run, store = ledger.run, ledger.run.store
    changes = unapplied(store.header)
    if not changes:
        return []
    kinds = {change["what"] for change in changes}
    void = _void_stages(ledger, kinds)
    store.forget(REPORT, REPORT)
    store.forget(REPORT, PAGES)
    if void:
        for pair_id in run.pair_ids():
            for video in video_paths(store.path, pair_id):
                video.unlink(missing_ok=True)
            for stage in void if SELECTION in kinds else ():
                _delete_results(run, stage, pair_id)
        ledger.forget(run.pair_ids(), void[0])
    tried_again = {stage.name for stage in void} if kinds & VOID.keys() else set()
    if HYPOTHESES in kinds:
        tried_again.add(INVERT)  # where all hypotheses of a pair failed
    store.release(pair_id for pair_id, entry in store.quarantined().items() if entry.stage in tried_again)
    mark_applied(store)
    return changes


def _void_stages(ledger: Ledger, kinds: set[str]) -> Sequence[Stage]:
    """The first stage that changes of these kinds make void, and all after it."""
    named, config = {VOID.get(kind) for kind in kinds}, ledger.run.config
    for number, stage in enumerate(ledger.stages):
        if stage.name in named or stage.whole_set(config) is not None:
            return ledger.stages[number:]
    return ()


def _delete_results(run: OpenRun, stage: Stage, pair_id: str) -> None:
    if stage.result:
        for key in stage.keys(run, pair_id):
            (run.store.path / stage.result.format(key)).unlink(missing_ok=True)


def require_scores(run: OpenRun) -> None:
    """Check that another choice among the run's hypotheses only has to choose and to render.

    Raises:
        ConfigError: it has no hypotheses, or pairs without scores; one line that says what to do.
    """
    ledger, quarantined = Ledger(run), run.store.quarantined()
    names = [stage.name for stage in ledger.stages]
    if SELECT not in names:
        raise ConfigError(f"{run.job.run} was made by {run.config.method}, which has no hypotheses to choose among")
    alive = [pair_id for pair_id in run.pair_ids() if pair_id not in quarantined]
    left = {pair_id for stage in ledger.stages[: names.index(SELECT)] for pair_id in ledger.left(stage, alive)}
    if left:
        count = "1 pair that is" if len(left) == 1 else f"{len(left)} pairs that are"
        raise ConfigError(f"{run.job.run} has {count} not scored yet; `mgi resume {run.job.run}`, then choose again")


def split_groups(groups: Sequence[Sequence[str]], header: Mapping[str, Any]) -> list[list[str]]:
    """Groups of hypotheses that one call inverts, split by when the run got them.

    If hypotheses compete (`inversion.rungs`) or help each other (`warm_start`), later ones do so among themselves: the
    earlier ones have finished and keep their results.

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
