"""Units that a killed command had published and not yet logged: found by the markers, named in the log on resume."""

from __future__ import annotations

from typing import Any

from flows.log import events
from storage.unit_keys import pair_of
from tasks.stages.ledger import Ledger


def log_unlogged(ledger: Ledger, log: Any) -> None:
    """Log every unit that has a marker and no line, as `late`. The log is read once, from its start.

    Packed units have been logged: a command writes their lines first.

    A unit that was made again has a line already, from before: only if that line tells of a failure, or if the pair's
    pictures were replaced since, is the line of the new one missed.
    """
    run = ledger.run
    done = {stage.name: run.store.markers.loose_keys(stage.name) for stage in ledger.stages}
    left, failed = {name: set(keys) for name, keys in done.items()}, set[tuple[str, str]]()
    for event in events(run.job.run):
        if event["event"] == "changed":
            pairs = set(event["pairs"])
            for name, keys in done.items():
                left[name] |= {key for key in keys if pair_of(key) in pairs}
        elif event["event"] == "unit" and event["stage"] in left:
            left[event["stage"]].discard(event["key"])
            unit = (event["stage"], event["key"])
            failed.add(unit) if event["failed"] else failed.discard(unit)
    for name, key in failed:
        if key in done[name] and not (run.store.done(name, key) or {}).get("failed"):
            left[name].add(key)
    for name, keys in left.items():
        for key in sorted(keys):
            payload = run.store.done(name, key) or {}
            seconds = payload.get("seconds")
            log.info("unit", stage=name, key=key, seconds=seconds, failed=payload.get("failed"), late=True)
