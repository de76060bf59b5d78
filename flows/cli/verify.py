"""`mgi verify`: is every file of a run what was written?"""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.common import RunArgument, guarded, out, say, tell_behind


@guarded
def verify(
    run: RunArgument,
    repair: Annotated[
        bool, typer.Option("--repair", help="Take back what is damaged, so that mgi resume makes it again.")
    ] = False,
) -> int:
    """Check every file of a run against its hash. Exit code 1 if any is damaged; each is named."""
    from flows.remote import working_folder
    from storage.remote.check import damaged_files, send_again

    with working_folder(run, say, writes=repair, damaged=lambda path, said: None) as place:
        published = damaged_files(place.mirror) if place.mirror else {}
        for path, said in published.items():
            say(f"damaged: {run}/{path}: {said}")
        if place.mirror and repair:
            send_again(place.mirror, list(published))
        damages = _verify(place.folder, repair)
    return 1 if damages or published else tell_behind(place)


def _verify(run: str, repair: bool) -> int:
    """Check the run in a folder; returns how many files are damaged."""
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
        say(known_as(f"damaged: {error}"))
        return 1
    with store.lock() if repair else nullcontext():
        ledger = Ledger(Job.of(store).open())
        found = damage.examine(ledger)
        for entry in found.damages:
            say(known_as(f"damaged: {entry.said}"))
        if repair:
            damage.repair(ledger, found)
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    out.print(f"checked     {counts}")
    out.print(f"damaged     {len(found.damages)}")
    taken = sum(bool(entry.stage) for entry in found.damages)
    if repair and taken:
        out.print(f"taken back  {taken}; `mgi resume {known_as(run)}` makes them again", markup=False)
    return len(found.damages)
