"""How far a run is, as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from storage.run_store import RunStore
from tasks.stored import stored_config
from tasks.unit import INVERT, SCORE, SELECT, WARP


def read_status(run: str) -> dict[str, Any]:
    """Counts per stage, quarantined pairs with reasons, and whether anything is left to do.

    Quarantined pairs are not part of the totals: a run is complete when every other pair has its result.

    Raises:
        storage.run_store.NoRun: there is no run in that folder.
    """
    store = RunStore.open(run)
    config = stored_config(store.header, str(store.path))
    quarantined = store.quarantined()
    alive = set(store.pair_ids()) - set(quarantined)
    lanes = len(config.inversion.all_hypotheses())
    stages: dict[str, dict[str, int]] = {}
    for stage in (WARP, INVERT, SCORE, SELECT):
        done = store.keys_done(stage)
        if stage == INVERT:
            done = {key for key in done if key.rpartition(".")[0] in alive}
            failed = sum(bool((store.done(stage, key) or {}).get("failed")) for key in done)
            stages[stage] = {"done": len(done), "total": len(alive) * lanes, "failed": failed}
        else:
            stages[stage] = {"done": len(done & alive), "total": len(alive)}
    report = Path(store.path) / "report.html"
    return {
        "run": run,
        "profile": config.profile,
        "digest": store.header["digest"],
        "created": store.header.get("created"),
        "pairs": len(alive) + len(quarantined),
        "hypotheses": lanes,
        "stages": stages,
        "quarantined": {
            pair_id: {"stage": entry.stage, "reason": entry.reason} for pair_id, entry in quarantined.items()
        },
        "complete": stages[SELECT]["done"] == len(alive),
        "report": str(report) if report.exists() else None,
    }
