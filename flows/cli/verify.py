"""`mgi verify`: is every file of a run what was written?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.common import Answer, RunArgument, complain, guarded, out, say, tell_behind


@guarded
def verify(
    run: RunArgument,
    repair: Annotated[
        bool, typer.Option("--repair", help="Take back what is damaged, so that mgi resume makes it again.")
    ] = False,
) -> Answer:
    """Check every file of a run against its hash. Exit code 1 if any is damaged; each is named."""
    from flows.remote import working_folder
    from storage.remote.check import damaged_files, send_again

    with working_folder(run, say, writes=repair, damaged=lambda path, said: None) as place:
        published = damaged_files(place.mirror) if place.mirror else {}
        for path, said in published.items():
            complain(f"damaged: {run}/{path}: {said}")
        if place.mirror and repair:
            send_again(place.mirror, list(published))
        found = _verify(place.folder, repair)
    found["damaged"] += [f"{run}/{path}: {said}" for path, said in published.items()]
    if found["damaged"] and not repair:
        say(f"next: `mgi verify {run} --repair`, then `mgi resume {run}` makes damaged files again")
    return Answer(found, 1 if found["damaged"] else tell_behind(place))


def _verify(run: str, repair: bool) -> dict[str, Any]:
    """Check the run in a folder; returns what was checked, what is damaged and how many units are taken back."""
    from contextlib import nullcontext

    from flows.remote import known_as
    from storage.run_header import DamagedHeader
    from storage.run_store import RunStore
    from tasks import damage
    from tasks.stages.ledger import Ledger
    from tasks.unit import Job

    try:
        store = RunStore.open(run)
    except DamagedHeader as error:
        complain(known_as(f"damaged: {error}"))
        return {"run": known_as(run), "checked": {}, "damaged": [known_as(str(error))], "taken_back": 0}
    with store.lock() if repair else nullcontext():
        ledger = Ledger(Job.of(store).open())
        found = damage.examine(ledger)
        said = [known_as(entry.said) for entry in found.damages]
        for line in said:
            complain(f"damaged: {line}")
        if repair:
            damage.repair(ledger, found)
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    out.print(f"checked     {counts}")
    out.print(f"damaged     {len(found.damages)}")
    taken = sum(bool(entry.stage) for entry in found.damages) if repair else 0
    if taken:
        out.print(f"taken back  {taken}; `mgi resume {known_as(run)}` makes them again", markup=False)
    return {"run": known_as(run), "checked": dict(found.counts), "damaged": said, "taken_back": taken}
