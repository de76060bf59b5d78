"""The state of a run, in the last lines of `mgi translate` and `mgi resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.common import Answer, complain, made, say, tell_behind
from flows.progress import INVERTED
from flows.remote import Place

if TYPE_CHECKING:
    from flows.cli.copies import Copies
    from flows.pipeline import Summary

SHOWN = 5
"""How many quarantined pairs are named; quarantine.csv has all."""


def print_summary(summary: Summary, copies: Copies | None = None, **more: Any) -> Answer:
    """Print what was done and where to look, and make the copies that are wanted; `more` are fields for scripts."""
    names, run = INVERTED if summary.task == "invert" else {}, summary.run
    counted = f"{summary.done} of {summary.pairs} {names.get('pairs', 'pairs')} done"
    if summary.computed or summary.failed:
        units, broken = (
            ", ".join(f"{count} {names.get(stage, stage)}" for stage, count in counts.items())
            for counts in (summary.computed, summary.failed)
        )
        units = (units or "nothing") + (f"; failed: {broken}" if broken else "")
        counted = f"{counted} in {summary.seconds:.0f} s (computed: {units})"
    else:
        counted = f"{counted}; nothing to compute"
    if summary.unrecorded:
        why = "Prefect's records of this command are incomplete, the run is not"
        say(f"note: {why} ({summary.unrecorded})")
    there = [name for name in ("report.html", "contact_sheet.png", "final") if Path(summary.copy or run, name).exists()]
    shown = [f"{name.split('.')[0]:<14}{run}/{name}" for name in there]
    made(run, counted, *shown, *([f"{'copy':<14}{summary.copy}"] if summary.copy else []))
    for pair_id, reason in list(summary.quarantined.items())[:SHOWN]:
        complain(f"quarantined: {pair_id}: {reason}")
    if len(summary.quarantined) > SHOWN:
        complain(f"quarantined: ... and {len(summary.quarantined) - SHOWN} more")
    if summary.quarantined:
        say(f"all reasons: {run}/quarantine.csv; `mgi resume {run} --retry` tries them again")
    if summary.copy:
        tell_behind(Place(summary.copy, run, summary.behind))
    exported = copies.made_of(summary) if copies else {}
    if summary.done and not exported:
        say(f"`mgi export {run} --to FOLDER` gives results the names of their sources")
    return Answer({**summary.as_dict(), **more, **exported}, int(summary.exit_code))
