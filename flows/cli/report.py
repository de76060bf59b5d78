"""`mgi report`: build a run's report again, whether it is complete or not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import err, guarded, out


@guarded
def report(run: Annotated[Path, typer.Argument(help="Folder of the run.")]) -> int:
    """Build the tables, contact sheet and report of a run from what is done so far."""
    from mgi.weights import WeightsError
    from storage.run_store import RunStore
    from tasks.stages.report import report_run
    from tasks.unit import Job

    job = Job.of(RunStore.open(run))
    try:
        path = report_run(job)
    except WeightsError as error:  # a run copied to a machine without the networks still has its tables and results
        err.print(f"note: pictures of hypotheses are left out: {error}", markup=False)
        path = report_run(job, pictures=False)
    out.print(path, markup=False)
    return 0
