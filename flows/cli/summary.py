"""The state of a run, in the last lines of `mgi translate` and `mgi resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.common import err, out, tell_behind
from flows.progress import INVERTED
from flows.remote import Place

if TYPE_CHECKING:
    from flows.pipeline import Summary

SHOWN = 5
"""How many quarantined pairs are named; quarantine.csv has all."""


def print_summary(summary: Summary) -> int:
    """Print what was done and where to look; returns the exit code."""
    names = INVERTED if summary.task == "invert" else {}
    counted = f"{summary.done} of {summary.pairs} {names.get('pairs', 'pairs')} done"
    if summary.computed or summary.failed:
        units, broken = (
            ", ".join(f"{count} {names.get(stage, stage)}" for stage, count in counts.items())
            for counts in (summary.computed, summary.failed)
        )
        units = (units or "nothing") + (f"; failed: {broken}" if broken else "")
        out.print(f"{counted} in {summary.seconds:.0f} s (computed: {units})")
    else:
        out.print(f"{counted}; nothing to compute")
    if summary.unrecorded:
        why = "Prefect's records of this command are incomplete, the run is not"
        err.print(f"note: {why} ({summary.unrecorded})", markup=False)
    for pair_id, reason in list(summary.quarantined.items())[:SHOWN]:
        err.print(f"quarantined: {pair_id}: {reason}", markup=False)
    if len(summary.quarantined) > SHOWN:
        err.print(f"quarantined: ... and {len(summary.quarantined) - SHOWN} more")
    run = summary.run
    if summary.quarantined:
        err.print(f"all reasons: {run}/quarantine.csv; `mgi resume {run} --retry` tries them again", markup=False)
    for name in ("report.html", "contact_sheet.png", "final"):
        if Path(summary.copy or run, name).exists():
            out.print(f"{name.split('.')[0]:<14}{run}/{name}", markup=False)
    if summary.copy:
        out.print(f"{'copy':<14}{summary.copy}", markup=False)
        tell_behind(Place(summary.copy, run, summary.behind))
    return int(summary.exit_code)
