"""`mgi resume`: continue a run that was interrupted."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.common import (
    Answer,
    DashboardOption,
    MetricsOption,
    PatienceOption,
    RunArgument,
    SchedulerOption,
    WorkersOption,
    choose_cluster,
    err,
    guarded,
)
from flows.settings import load_settings, use_prefect


@guarded
def resume(
    run: RunArgument,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    patience: PatienceOption = None,
    dashboard: DashboardOption = False,
    metrics: MetricsOption = None,
    retry: Annotated[bool, typer.Option("--retry", help="Also try quarantined pairs again.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="First check every file, and make damaged ones again, see mgi verify.")
    ] = False,
) -> Answer:
    """Continue a run. What is done is not computed again, except for pairs whose pictures were replaced since."""
    settings = load_settings()
    where = choose_cluster(workers, scheduler, settings, patience, dashboard)
    from flows import engine
    from flows.cli.summary import print_summary
    from flows.progress import show_progress

    with show_progress(err) as observer:
        how = engine.Execution(*where, observer, use_prefect(settings), metrics)
        summary = engine.resume(run, how, retry, check)
    return print_summary(summary)
