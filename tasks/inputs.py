"""Pictures are part of a run: the content of each that a pair was made from, and which pictures were replaced since.

The markers decide: the marker of a pair's first stage (`warp`), or a `refused` marker if the pair failed before that,
holds the identity of its pictures as they were read. `.inputs.json` repeats these for all pairs that have one, with the
times last seen, so a finished run is checked without reading any marker.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from storage.atomic import write_text
from storage.file_identity import UNREADABLE, FileIdentity, Looker
from storage.run_store import RunStore
from tasks.unit import OpenRun

if TYPE_CHECKING:
    from tasks.stages.ledger import Ledger

Identities = list[FileIdentity | None]
"""Identities of a pair's source and exemplar, or of a single picture; None: there was no such file."""

REFUSED = "refused"
"""The stage of markers for pairs whose pictures could not be used."""
INDEX, FORMAT = ".inputs.json", 1


@dataclass
class Changes:
    """What happened to a run's pictures since it used them: the pairs of replaced pictures, and paths."""

    pairs: list[str] = field(default_factory=list)
    replaced: dict[str, None] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)


def identities(paths: Iterable[str]) -> Identities:
    """What a marker keeps about pictures.

    Ask before they are read: a picture that is replaced meanwhile then counts as changed. That costs a second
    computation, but gives no wrong result.
    """
    looker = Looker()
    return [looker.identity(path) for path in paths]


def look(ledger: Ledger) -> Changes:
    """Compare the pictures of all pairs that were read or set aside with what they were then.

    Looks at each picture once, however many pairs it is in, and reads it only if its size or times have changed. If
    nothing is known about a pair's pictures (older versions did not record it), they are taken as they are now. A pair
    with a missing picture cannot be made again, so it stays as it is.
    """
    run, store, first = ledger.run, ledger.run.store, ledger.stages[0]
    looker, changes = Looker(), Changes()
    held, done, before = store.quarantined(), ledger.done(first), _read_index(store)
    index: dict[str, Identities] = {}
    for pair_id in run.pair_ids():
        if pair_id not in done and pair_id not in held:
            continue
        paths = run.files(pair_id)
        known = before.get(pair_id) if pair_id in done else None
        known = known or _published(store, first.name if pair_id in done else REFUSED, pair_id)
        if known is None or len(known) != len(paths):
            kept = [looker.identity(path) for path in paths]
        else:
            now = [looker.identity(path, old) for path, old in zip(paths, known, strict=True)]
            kept = _compare(paths, known, now, changes, pair_id, held=pair_id in held)
        if pair_id in done:
            index[pair_id] = kept
        elif kept != known:
            _publish(store, run, pair_id, kept)
    if index != before:
        _write_index(store, index)
    return changes


def _compare(
    paths: Sequence[str], known: Identities, now: Identities, changes: Changes, pair_id: str, held: bool
) -> Identities:
    """Add what happened to a pair's pictures to `changes`; returns what is known about them from now on."""
    gone = [path for path, old, new in zip(paths, known, now, strict=True) if _is_gone(old, new)]
    other = [path for path, old, new in zip(paths, known, now, strict=True) if _is_other(old, new)]
    if gone and not held:
        changes.gone |= dict.fromkeys(gone)
    elif other and not gone:
        changes.pairs.append(pair_id)
        changes.replaced |= dict.fromkeys(other)
    return [old if path in gone or path in other else new for path, old, new in zip(paths, known, now, strict=True)]


def _is_gone(old: FileIdentity | None, new: FileIdentity | None) -> bool:
    return old is not None and (new is None or new.sha256 == UNREADABLE != old.sha256)


def _is_other(old: FileIdentity | None, new: FileIdentity | None) -> bool:
    return new is not None and (old is None or old.sha256 != new.sha256)


def forget_index(run: OpenRun, pairs: Iterable[str]) -> None:
    """Drop pairs from `.inputs.json` once their markers are gone: their next results come from other pictures."""
    gone = set(pairs)
    _write_index(run.store, {pair: kept for pair, kept in _read_index(run.store).items() if pair not in gone})


def refuse(run: OpenRun, pair_id: str, seen: Identities) -> None:
    """Record the pictures with which a pair failed in its first stage."""
    _publish(run.store, run, pair_id, seen)


def _published(store: RunStore, stage: str, pair_id: str) -> Identities | None:
    stored = (store.done(stage, pair_id) or {}).get("inputs")
    return None if stored is None else [FileIdentity.parse(entry) for entry in stored]


def _publish(store: RunStore, run: OpenRun, pair_id: str, kept: Identities) -> None:
    store.publish(REFUSED, pair_id, pair_index=run.index(pair_id), payload={"inputs": kept})


def _read_index(store: RunStore) -> dict[str, Identities]:
    """Empty if the file is missing or damaged: the markers have it all."""
    try:
        stored: Any = json.loads((store.path / INDEX).read_bytes())
        if stored["format"] != FORMAT:
            return {}
        return {pair: [FileIdentity.parse(entry) for entry in entries] for pair, entries in stored["pairs"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_index(store: RunStore, index: dict[str, Identities]) -> None:
    write_text(store.path / INDEX, json.dumps({"format": FORMAT, "pairs": index}) + "\n")
