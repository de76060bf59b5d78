"""Pictures are part of what a run is: which content of each a pair was made of, and which were replaced since.

The truth is beside each pair: the payload of the marker of its first stage (`warp`), or of a `refused` marker where a
pair failed before it had one, holds the identity of its pictures as they were read. `.inputs.json` repeats those of all
pairs that are that far, with the times under which they were last seen, so that a finished run is looked at without
reading a marker.
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
"""Of a pair's source and exemplar, or of a picture alone; None: there was no such file."""

REFUSED = "refused"
"""Stage of the markers of pairs whose pictures could not be used."""
INDEX, FORMAT = ".inputs.json", 1


@dataclass
class Changes:
    """What became of a run's pictures since it used them: the pairs of those that were replaced, and paths."""

    pairs: list[str] = field(default_factory=list)
    replaced: dict[str, None] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)


def identities(paths: Iterable[str]) -> Identities:
    """What a marker keeps of pictures.

    Ask before they are read: a picture that is replaced meanwhile then counts as changed, which costs a second
    computation and no wrong result.
    """
    looker = Looker()
    return [looker.identity(path) for path in paths]


def look(ledger: Ledger) -> Changes:
    """Compare the pictures of all pairs that were read or set aside with what they were then.

    Costs one look at each picture, however many pairs it is in; it is only read where its size or times are others.
    Where nothing is known of a pair's pictures (older versions did not write it down), they are taken as they are now.
    A pair one of whose pictures is gone cannot be made again, and stays as it is.
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
    """Add what became of a pair's pictures to `changes`; returns what is known of them from now on."""
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
    """Drop pairs from `.inputs.json`, once their markers are gone: what is computed next is of other pictures."""
    gone = set(pairs)
    _write_index(run.store, {pair: kept for pair, kept in _read_index(run.store).items() if pair not in gone})


def refuse(run: OpenRun, pair_id: str, seen: Identities) -> None:
    """Write down of which pictures a pair failed in its first stage."""
    _publish(run.store, run, pair_id, seen)


def _published(store: RunStore, stage: str, pair_id: str) -> Identities | None:
    stored = (store.done(stage, pair_id) or {}).get("inputs")
    return None if stored is None else [FileIdentity.parse(entry) for entry in stored]


def _publish(store: RunStore, run: OpenRun, pair_id: str, kept: Identities) -> None:
    store.publish(REFUSED, pair_id, pair_index=run.index(pair_id), payload={"inputs": kept})


def _read_index(store: RunStore) -> dict[str, Identities]:
    """Empty where the file is missing or damaged: the markers say it all again."""
    try:
        stored: Any = json.loads((store.path / INDEX).read_bytes())
        if stored["format"] != FORMAT:
            return {}
        return {pair: [FileIdentity.parse(entry) for entry in entries] for pair, entries in stored["pairs"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_index(store: RunStore, index: dict[str, Identities]) -> None:
    write_text(store.path / INDEX, json.dumps({"format": FORMAT, "pairs": index}) + "\n")
