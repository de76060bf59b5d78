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

from storage import labels
from storage.blocks.packing import drop_unreadable, rewrite_record
from storage.plan_table import PLAN, is_whole
from storage.run_arrays import corrupt
from storage.run_changes import unapplied
from storage.run_header import NoRun
from storage.run_layout import LAYOUT, check_metadata, write_metadata
from storage.run_store import RunStore, StoreCorrupt
from storage.unit_keys import pair_of
from tasks.report import pictures
from tasks.stages.ledger import Ledger
from tasks.stages.report import PAGES
from tasks.unit import REPORT, one_line

BLOCKS, QUARANTINE, LABELS = "blocks", "quarantine", "labels"
"""In place of a stage, what no unit made: the record of a block, the list of pairs that were set aside, what names the
axes of arrays."""
NO_UNIT = {LAYOUT, BLOCKS, QUARANTINE, LABELS}


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
        found.damages += _of_quarantine(store, found.counts)
    try:
        store.pair_ids()
    except NoRun:  # which has been said
        return found
    if pairs is None:
        found.damages += _of_records(store, found.counts)
    if pairs is None and contents:
        found.damages += _of_labels(store, found.counts)
    for stage, key in _units(store, whole_too=contents):
        if pairs is None or pair_of(key) in pairs:
            found.damages += _of_unit(store, stage, key, contents, found.counts)
    known = {(damage.stage, damage.key) for damage in found.damages}
    found.damages += [damage for damage in _gone(ledger, pairs) if (damage.stage, damage.key) not in known]
    return found


def repair(ledger: Ledger, found: Examined) -> None:
    """Forget the damaged units, and what was made from them, so that the stages make them again.

    For the process that holds the run's lock. Descriptions of arrays and heads of records are written again; the plan
    stays as it is.
    """
    store, damages = ledger.run.store, [damage for damage in found.damages if damage.stage]
    if not damages:
        return
    _forget_report(store)
    for damage in damages:
        if damage.stage == LAYOUT:
            write_metadata(Path(store.path) / damage.key, store.layout[damage.key], len(store.pairs), store.block)
        elif damage.stage == BLOCKS:
            rewrite_record(store, int(damage.key))
        elif damage.stage == QUARANTINE:
            store.release(store.damaged_quarantine())
    if any(damage.stage in (LABELS, BLOCKS) for damage in damages):
        labels.repair(store)
    drop_unreadable(store, ((damage.stage, damage.key) for damage in damages if damage.stage not in NO_UNIT))
    for position, stage in reversed(list(enumerate(ledger.stages))):
        keys = [damage.key for damage in damages if damage.stage == stage.name]
        if keys and position + 1 < len(ledger.stages):
            ledger.forget({pair_of(key) for key in keys}, ledger.stages[position + 1])
        ledger.forget_units(stage, keys)
    others = {stage.name for stage in ledger.stages} | NO_UNIT
    for damage in damages:
        if damage.stage not in others:
            store.forget(damage.stage, damage.key)
    store.release(pair_of(damage.key) for damage in damages)


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


def _of_quarantine(store: RunStore, counts: Counter[str]) -> Iterator[Damage]:
    """What is wrong with the list of pairs that were set aside."""
    path, state = store.quarantine_path, (store.done(REPORT, REPORT) or {}).get("state") or {}
    again = f"`mgi verify {store.path} --repair`, then `mgi resume {store.path}` tries"
    if path.is_file():
        counts["quarantine"] += 1
        if rows := store.damaged_quarantine():
            pairs = "1 pair" if len(rows) == 1 else f"{len(rows)} pairs"
            yield Damage(f"{path} is not what was written in the rows of {pairs}; {again} them again", QUARANTINE, "")
    elif state.get("quarantined"):
        yield Damage(f"{path} is gone; {again} its {state['quarantined']} pairs again", QUARANTINE, "")


def _of_records(store: RunStore, counts: Counter[str]) -> Iterator[Damage]:
    """Records of blocks that are not what was written, although no line of a unit is damaged or gone."""
    records = store.markers.records
    for block in records.blocks() if records else ():
        assert records is not None
        counts["records"] += 1
        if not records.is_whole(block) and not records.read(block).broken:
            said = corrupt(store.path, records.path(block), "is damaged")
            yield Damage(one_line(said), BLOCKS, str(block))


def _of_labels(store: RunStore, counts: Counter[str]) -> Iterator[Damage]:
    """What names the axes of arrays, and says which rows are finished, for other programs."""
    if store.finished is None:
        return
    counts["labels"] += 1
    for path in labels.wrong_labels(store):
        said = f"{path} is not what was written; `mgi verify {store.path} --repair` writes it again"
        yield Damage(said, LABELS, path.relative_to(store.path).as_posix())


def _units(store: RunStore, whole_too: bool) -> Iterator[tuple[str, str]]:
    """(stage, key) of all markers, block by block; without `whole_too` those of records that are whole are left out."""
    records = store.markers.records
    loose = {stage: store.markers.loose_keys(stage) for stage in store.markers.stages()}
    for block in records.blocks() if records else ():
        assert records is not None
        if whole_too or not records.is_whole(block):
            record = records.read(block)
            packed = sorted(record.units.keys() | record.broken)
            yield from ((stage, key) for stage, key in packed if key not in loose[stage])
    for stage, keys in loose.items():
        yield from ((stage, key) for key in sorted(keys))


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
        built = {pair_id for other in later for pair_id in ledger.done(other)} if left else set()
        for pair_id, keys in left.items():
            if complete or pair_id in built:
                for key in keys:
                    gone = corrupt(store.path, store.markers.place(stage.name, key), "is gone")
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
