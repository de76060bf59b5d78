"""`mgi status`: the progress of a run, from its markers alone; safe to ask while another process works on it."""

from __future__ import annotations

from typing import Any

from flows.cli.common import Answer, RunArgument, complain, guarded, out, say


@guarded
def status(run: RunArgument) -> Answer:
    """Show the progress of a run. Exit code 3 if it is complete except for quarantined pairs."""
    from flows.remote import known_as, viewed_folder
    from flows.status import read_status

    with viewed_folder(run) as folder:
        state = read_status(folder)
    state |= {"run": run, "report": state["report"] and known_as(state["report"])}
    _print(state)
    return Answer(state, 3 if state["complete"] and state["quarantined"] else 0)


def _print(state: dict[str, Any]) -> None:
    out.print(
        f"run         {state['run']} (profile {state['profile']}, {state['hypotheses']} hypotheses)", markup=False
    )
    for number, line in enumerate(state["grown"]):
        out.print(f"{'' if number else 'grown':<12}{line}", markup=False)
    for stage, count in state["stages"].items():
        failed = f", {count['failed']} failed" if count.get("failed") else ""
        out.print(f"{stage:<12}{count['done']} of {count['total']}{failed}")
    out.print(f"quarantined {len(state['quarantined'])}")
    for pair_id, entry in state["quarantined"].items():
        complain(f"            {pair_id} ({entry['stage']}): {entry['reason']}")
    if state["complete"]:
        no_report = f"no report: `mgi report {state['run']}` makes it"
        out.print(f"complete    {state['report'] or no_report}", markup=False)
    else:
        out.print(f"incomplete  `mgi resume {state['run']}` continues it", markup=False)
    if state["quarantined"]:
        say(f"`mgi resume {state['run']} --retry` tries quarantined pairs again")
