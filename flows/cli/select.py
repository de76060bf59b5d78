"""`mgi select`: another choice among the hypotheses that a run has."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli import completion
from flows.cli.common import (
    Answer,
    DashboardOption,
    PatienceOption,
    RunArgument,
    SchedulerOption,
    WorkersOption,
    choose_cluster,
    err,
    guarded,
)
from flows.settings import load_settings, use_prefect
from mgi.config import ConfigError


@guarded
def select(
    run: RunArgument,
    rule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.rules,
            help="spatial-fd, sifid, set-fid, paper or critic.  [default: the run's]",
        ),
    ] = None,
    fidelity_bound: Annotated[
        float | None,
        typer.Option(
            metavar="B",
            help="A hypothesis whose reconstruction error is more than B times the best one's cannot be chosen.  "
            "[default: the run's]",
        ),
    ] = None,
    critic_margin: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="A hypothesis whose critic says more than M above the best one's number cannot be chosen; 0: the "
            "critic rules nothing out.  [default: the run's]",
        ),
    ] = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    patience: PatienceOption = None,
    dashboard: DashboardOption = False,
) -> Answer:
    """Choose again by another rule or other guards, from the scores that the run has; nothing is inverted."""
    if rule is None and fidelity_bound is None and critic_margin is None:
        raise ConfigError("expected --rule NAME, --fidelity-bound B or --critic-margin M: by what to choose")
    settings = load_settings()
    where = choose_cluster(workers, scheduler, settings, patience, dashboard)
    from flows import engine
    from flows.cli.summary import print_summary
    from flows.progress import show_progress

    with show_progress(err) as observer:
        how = engine.Execution(*where, observer, use_prefect(settings))
        summary = engine.select(run, rule, fidelity_bound, critic_margin, how)
    return print_summary(summary)
