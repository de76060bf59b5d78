"""The flows `resume` and `select` as Prefect sees them; see `flows.translate`."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import State, flow, tags
from pydantic import Field

from flows.pipeline import resume_run, select_run
from flows.settings import Workers
from flows.watching.carried_out import TAG, Cluster, carried_out
from flows.watching.choices import Count, Folder, Rule, WorkerCount
from flows.watching.run_names import named


@flow(
    name="resume",
    flow_run_name=named("resume {run}", by=("metrics",)),
    persist_result=False,
    validate_parameters=True,
)
def resume(
    run: Folder,
    retry: bool = False,
    check: bool = False,
    metrics: str | None = None,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
    patience: Count | None = None,
) -> State[dict[str, Any]]:
    """Continue a run that was interrupted.

    Args:
        run: Folder of the run, or its address.
        retry: Take quarantined pairs back and try them again.
        check: Look for damaged files first, and make them again.
        metrics: What results are measured by from now on, names with commas between them, standard or none.
        workers: Processes on the worker's machine; 0 computes in the flow's process.
        scheduler: Address of a running Dask scheduler to use instead.
        patience: Seconds to wait while that scheduler has no worker.
    """
    return carried_out(
        run, Cluster(workers, scheduler, patience), lambda at, call: resume_run(run, *at, call, retry, metrics, check)
    )


@flow(
    name="select",
    flow_run_name=named("select again in {run}", by=("rule",)),
    persist_result=False,
    validate_parameters=True,
)
def select(
    run: Folder,
    rule: Rule | None = None,
    fidelity_bound: Annotated[float, Field(ge=1)] | None = None,
    critic_margin: Annotated[float, Field(ge=0)] | None = None,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
    patience: Count | None = None,
) -> State[dict[str, Any]]:
    """Choose again among the hypotheses of a run; nothing is inverted.

    Args:
        run: Folder of the run, or its address.
        rule: What results are chosen by; the run's own if not given.
        fidelity_bound: A hypothesis whose reconstruction error exceeds the best one's by more cannot be chosen; the
            run's own if not given.
        critic_margin: A hypothesis whose critic says more than this above the best one's number cannot be chosen; 0:
            the critic rules nothing out; the run's own if not given.
        workers: Processes on the worker's machine; 0 computes in the flow's process.
        scheduler: Address of a running Dask scheduler to use instead.
        patience: Seconds to wait while that scheduler has no worker.
    """
    guards = (rule, fidelity_bound, critic_margin)
    return carried_out(run, Cluster(workers, scheduler, patience), lambda at, call: select_run(run, *guards, *at, call))


def start_resume(
    run: str, workers: Workers, scheduler: str | None, retry: bool, metrics: str | None, check: bool
) -> dict[str, Any]:
    """Call the flow for what `mgi resume` asks for."""
    with tags(TAG):
        data: Any = resume(run, retry=retry, check=check, metrics=metrics, workers=workers, scheduler=scheduler)
    return dict(data)


def start_select(
    run: str,
    guards: tuple[str | None, float | None, float | None],
    workers: Workers,
    scheduler: str | None,
) -> dict[str, Any]:
    """Call the flow for what `mgi select` asks for: rule, fidelity bound and critic margin."""
    with tags(TAG):
        data: Any = select(run, *guards, workers=workers, scheduler=scheduler)
    return dict(data)
