"""`mgi verify`: is every file of a run what was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import err, guarded, out


@guarded
def verify(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Take back what is damaged, so that mgi resume makes it again.")
    ] = False,
) -> int:
    """Check every file of a run against its hash. Exit code 1 if any is damaged; each is named."""
    from contextlib import nullcontext

    from storage.run_header import DamagedHeader
    from storage.run_store import RunStore
    from tasks import damage
    from tasks.stages.ledger import Ledger
    from tasks.unit import Job

    try:
        store = RunStore.open(run)
    except DamagedHeader as error:
        err.print(f"damaged: {error}", markup=False)
        return 1
    with store.lock() if repair else nullcontext():
        ledger = Ledger(Job.of(store).open())
        found = damage.examine(ledger)
        for entry in found.damages:
            err.print(f"damaged: {entry.said}", markup=False)
        if repair:
            damage.repair(ledger, found)
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    out.print(f"checked     {counts}")
    out.print(f"damaged     {len(found.damages)}")
    taken = sum(bool(entry.stage) for entry in found.damages)
    if repair and taken:
        out.print(f"taken back  {taken}; `mgi resume {run}` makes them again", markup=False)
    return 1 if found.damages else 0
