"""Looking through a run for files that are not what was written, and taking back the units that they belong to.

A unit's marker holds the hashes of its arrays and files, and is sealed itself; the header, also sealed, holds digests
of the plan and of the arrays' descriptions. So all of a run that is computed from can be checked, and whatever a unit
made can be made again, to the same bytes.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storage.plan_table import PLAN, is_whole
from storage.run_arrays import corrupt
from storage.run_changes import unapplied
from storage.run_header import NoRun
from storage.run_layout import LAYOUT, check_metadata, write_metadata
from storage.run_store import RunStore, StoreCorrupt
from tasks.report import pictures
from tasks.stages.ledger import Ledger
from tasks.stages.report import PAGES
from tasks.unit import REPORT, one_line, pair_of


@dataclass(frozen=True)
class Damage:
    """One damaged file: a line that begins with its path, and the unit that makes it again, if there is one."""

    said: str
    stage: str = ""
    key: str = ""


@dataclass
class Examined:
    """How many files of each kind were checked, and what is wrong with them."""

    counts: Counter[str] = field(default_factory=Counter)
    damages: list[Damage] = field(default_factory=list)


def examine(ledger: Ledger, pairs: Collection[str] | None = None, contents: bool = True) -> Examined:
    """Check files of a run against what is known about them.

    Args:
        ledger: the run's.
        pairs: only the units of these pairs; None: all of the run, with what belongs to no unit.
        contents: also read the units' arrays and files; otherwise only their markers.
    """
    found, store = Examined(), ledger.run.store
    if pairs is None and contents:
        found.damages += _of_layout(store, found.counts)
    for stage in store.markers.stages():
        for key in sorted(store.keys_done(stage)):
            if pairs is None or pair_of(key) in pairs:
                found.damages += _of_unit(store, stage, key, contents, found.counts)
    known = {(damage.stage, damage.key) for damage in found.damages}
    if all(damage.stage for damage in found.damages):  # the plan can be read
        found.damages += [damage for damage in _gone(ledger, pairs) if (damage.stage, damage.key) not in known]
    return found


def repair(ledger: Ledger, found: Examined) -> None:
    """Forget the damaged units, and what was made from them, so that the stages make them again.

    For the process that holds the run's lock. Descriptions of arrays are written again; the plan stays as it is.
    """
    store, damages = ledger.run.store, [damage for damage in found.damages if damage.stage]
    if not damages:
        return
    _forget_report(store)
    for position, stage in reversed(list(enumerate(ledger.stages))):
        keys = [damage.key for damage in damages if damage.stage == stage.name]
        if keys and position + 1 < len(ledger.stages):
            ledger.forget({pair_of(key) for key in keys}, ledger.stages[position + 1])
        for key in keys:
            ledger.forget_unit(stage, key)
    others = {stage.name for stage in ledger.stages}
    for damage in damages:
        if damage.stage == LAYOUT:
            write_metadata(Path(store.path) / damage.key, store.layout[damage.key], len(store.pairs))
        elif damage.stage not in others:
            store.forget(damage.stage, damage.key)
        store.release(pair_of(damage.key))


def _forget_report(store: RunStore) -> None:
    """The report is made again, and of its files those that are not what they were, or all if nobody knows."""
    marker = store.marker(REPORT, PAGES)
    if marker is None and store.layout:  # earlier versions published no pages
        shutil.rmtree(Path(store.path) / pictures.FOLDER, ignore_errors=True)
    for name in marker["files"] if marker else ():
        try:
            store.check_file(REPORT, PAGES, name)
        except (StoreCorrupt, OSError):
            (store.path / name).unlink(missing_ok=True)
    for key in (PAGES, REPORT):
        store.forget(REPORT, key)


def _of_layout(store: RunStore, counts: Counter[str]) -> Iterator[Damage]:
    """What is wrong with the plan and the descriptions of arrays."""
    counts["header"] += 1
    pairs = 0
    try:
        counts["plan"] += 1
        pairs = len(store.pairs)
        if not is_whole(path := Path(store.path) / PLAN, len(store.header["changes"]), store.layout.get(PLAN)):
            yield Damage(f"{path} is not what was written, and its pairs can still be read; bring it back from a copy")
    except NoRun as error:
        yield Damage(one_line(error))
    for name, known in store.layout.items():
        path = Path(store.path) / name
        if path.name == "zarr.json":
            counts["descriptions of arrays"] += 1
            if wrong := check_metadata(path, known, pairs):
                yield Damage(f"{path} {wrong}; `mgi verify {store.path} --repair` writes it again", LAYOUT, name)


def _of_unit(store: RunStore, stage: str, key: str, contents: bool, counts: Counter[str]) -> Iterator[Damage]:
    counts["markers"] += 1
    try:
        store.payload(stage, key)
    except StoreCorrupt as error:
        yield Damage(one_line(error), stage, key)
        return
    marker = store.marker(stage, key)
    if marker is not None and contents:
        counts["chunks"] += len(marker["arrays"])
        counts["pictures, tables and pages"] += len(marker["files"])
        for wrong in store.damaged(stage, key):
            yield Damage(one_line(wrong), stage, key)


def _gone(ledger: Ledger, pairs: Collection[str] | None) -> Iterator[Damage]:
    """Units whose markers are gone: later stages built on them, or the report says that the run was complete."""
    run, store = ledger.run, ledger.run.store
    if unapplied(store.header):  # new hypotheses of scored pairs
        return
    held = store.quarantined()
    alive: list[str] = [id for id in run.pair_ids() if id not in held and (pairs is None or id in pairs)]
    yield from _report_gone(ledger, alive if pairs is None else ())
    complete = pairs is None and _was_complete(ledger, len(held))
    for position, stage in enumerate(ledger.stages):
        left = ledger.left(stage, alive)
        later = [other for other in ledger.stages[position + 1 :] if stage.name in other.after]
        built = {pair_of(key) for other in later for key in ledger.done(other)} if left else set()
        for pair_id, keys in left.items():
            if complete or pair_id in built:
                for key in keys:
                    gone = corrupt(store.path, store.markers.path(stage.name, key), "is gone")
                    yield Damage(one_line(gone), stage.name, key)


def _report_gone(ledger: Ledger, alive: Sequence[str]) -> Iterator[Damage]:
    """The report's two markers: the one of its files comes first, and a finished run has both."""
    store = ledger.run.store
    there = store.keys_done(REPORT) & {PAGES, REPORT}
    if store.layout and there and (there == {REPORT} or (alive and ledger.finished(alive) == alive)):
        for name in {PAGES, REPORT} - there:
            yield Damage(one_line(corrupt(store.path, store.markers.path(REPORT, name), "is gone")), REPORT, name)


def _was_complete(ledger: Ledger, quarantined: int) -> bool:
    """Whether the last report was of all pairs that the run has now, by all metrics that it measures now."""
    state = (ledger.run.store.done(REPORT, REPORT) or {}).get("state") or {}
    whole = state.get("results", -1) + quarantined == len(ledger.run.pair_ids())
    same = state.get("quarantined") == quarantined and state.get("metrics", []) == ledger.run.metric_keys
    return whole and same
