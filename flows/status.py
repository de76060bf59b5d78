"""The progress of a run, as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from storage.run_changes import history
from storage.run_store import RunStore
from tasks.stages.base import Stage
from tasks.stages.ledger import Ledger
from tasks.unit import OpenRun


def read_status(run: str) -> dict[str, Any]:
    """Counts per stage, quarantined pairs with reasons, and whether anything is left to do.

    Quarantined pairs are not part of the totals: a run is complete when every other pair has its result.

    Raises:
        storage.run_store.NoRun: there is no run in that folder.
    """
    store = RunStore.open(run)
    opened = OpenRun(store)
    ledger, quarantined = Ledger(opened), store.quarantined()
    alive = [pair_id for pair_id in opened.pair_ids() if pair_id not in quarantined]
    stages = {stage.name: _counts(ledger, stage, alive) for stage in ledger.stages}
    report = Path(store.path) / "report.html"
    return {
        "run": run,
        "profile": opened.config.profile,
        "digest": store.header["digest"],
        "created": store.header.get("created"),
        "changes": [
            {key: change[key] for key in ("when", "what", "set", "added")} for change in store.header["changes"]
        ],
        "grown": [f"{when}: {what}" for when, what in history(store.header)],
        "pairs": len(alive) + len(quarantined),
        "method": opened.config.method,
        "hypotheses": len(opened.hypotheses),
        "stages": {name: counts for name, counts in stages.items() if counts["total"] or ledger.stage(name).required},
        "quarantined": {
            pair_id: {"stage": entry.stage, "reason": entry.reason} for pair_id, entry in quarantined.items()
        },
        "complete": len(ledger.finished(alive)) == len(alive),
        "report": str(report) if report.exists() else None,
    }


def _counts(ledger: Ledger, stage: Stage, pair_ids: list[str]) -> dict[str, int]:
    total, done = ledger.count(stage, pair_ids)
    counts = {"done": done, "total": total}
    if not stage.quarantines:
        counts["failed"] = ledger.failed(stage, pair_ids)
    return counts
