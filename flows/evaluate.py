"""The flow `evaluate` as Prefect sees it: for schedules, with a run that fails when results got worse.

    prefect deployment run evaluate/evaluate --param suite=kaokore --param sources=/data/a --param exemplars=/data/b

`out` may hold `{date}`, which becomes the day, and `baseline` may be `previous`: the newest earlier evaluation under
the same pattern. So one schedule makes one evaluation per day and compares it with the last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import State, flow, get_run_logger, tags
from pydantic import Field

from flows.dates import dated, today
from flows.evaluation import Evaluated, evaluate_suite, with_folders
from flows.progress import shown_observer
from flows.records import still
from flows.settings import Workers
from flows.watching.artifacts import Place, show_link, show_text
from flows.watching.carried_out import TAG, Cluster, shard_stage
from flows.watching.choices import Count, Folder, Pairing, SuiteName, WorkerCount
from flows.watching.concluded import concluded, done, failed, log_failure
from flows.watching.published import published
from flows.watching.run_names import named
from tasks.suites.asked import changed
from tasks.suites.suite import Suite, load_suite


class Regressed(RuntimeError):
    """Results are worse than those of the baseline; the flow run ends as failed, so that automations see it."""

    def __init__(self, found: Evaluated) -> None:
        super().__init__(f"worse than before: {'; '.join(found.regressions)}; see {found.page}")
        self.found = found


@flow(
    name="evaluate",
    flow_run_name=named("evaluate {suite} into {out}", by=("methods", "limit")),
    persist_result=False,
    validate_parameters=True,
)
def evaluate(
    suite: SuiteName,
    out: Folder,
    sources: str | None = None,
    exemplars: str | None = None,
    pairing: Pairing | None = None,
    limit: Count | None = None,
    methods: list[str] | None = None,
    metrics: str | None = None,
    reference: Annotated[Literal["exemplars", "sources"], Field(title="side")]
    | Annotated[str, Field(title="folder")]
    | None = None,
    results: list[str] | None = None,
    settings: list[str] | None = None,
    baseline: Annotated[Literal["previous"], Field(title="the last one")]
    | Annotated[str, Field(title="folder")]
    | None = None,
    tolerance: Annotated[float, Field(ge=0)] = 0.0,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
    patience: Count | None = None,
) -> State[dict[str, Any]]:
    """Run every method of a suite on every pair, and write the tables and the page.

    Args:
        suite: Which methods, metrics and data.
        out: Folder of the evaluation; one that is there is continued. {date} becomes the day.
        sources: Folder of the sources, in place of the suite's.
        exemplars: Folder of the exemplars, in place of the suite's.
        pairing: How sources meet exemplars, in place of the suite's.
        limit: At most this many pairs.
        methods: Only these rows.
        metrics: Metrics of pairs and of sets with commas between them, in place of the suite's.
        reference: What sets are compared with.
        results: Pictures that other programs made, as NAME=FOLDER; a row each.
        settings: Settings of a row or of all rows, as [ROW:]SECTION.KEY=VALUE.
        baseline: An earlier evaluation, or the last one whose folder fits `out`; what got worse beyond chance makes
            this run fail, in the state Regressed.
        tolerance: Changes below this share of the earlier number are none.
        workers: Processes on the worker's machine; 0 computes in the flow's process.
        scheduler: Address of a running Dask scheduler to use instead.
        patience: Seconds to wait while that scheduler has no worker.
    """
    folder, before = dated(out, baseline, today())
    place, cluster, log = Place.of(folder), Cluster(workers, scheduler, patience), get_run_logger()
    try:
        asked = Suite.model_validate(suite) if isinstance(suite, dict) else load_suite(suite)
    except ValueError as error:
        return failed(" ".join(str(error).split()), error)
    with published(place, shown_observer(), log, rows=len(methods or asked.methods)) as observer:

        def whole() -> Evaluated:
            own = with_folders(asked, sources, exemplars)
            wanted = changed(own, pairing, limit, metrics, reference, results or [], settings or [])
            at = cluster.at(observer)
            return evaluate_suite(wanted, folder, *at, still(shard_stage), methods or (), before, tolerance)

        return concluded(whole, lambda found, more: _conclude(place, found))


def start_evaluation(
    suite: Suite,
    out: str,
    workers: Workers,
    scheduler: str | None,
    only: list[str],
    baseline: str | None,
    tolerance: float,
) -> Evaluated:
    """Call the flow for what is asked for, which then shows it as its parameters."""
    where: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "baseline": baseline, "tolerance": tolerance}
    try:
        with tags(TAG):
            data: Any = evaluate(suite=suite.model_dump(mode="json"), out=out, methods=only or None, **where)
    except Regressed as error:
        return error.found
    return Evaluated(**{name: value for name, value in data.items() if name != "exit_code"})


def _conclude(place: Place, found: Evaluated) -> State[Any]:
    log_failure(get_run_logger(), lambda: _show(place, found))
    if found.regressions:
        error = Regressed(found)
        return failed(str(error), error, "Regressed")
    line = f"{len(found.runs)} rows of {found.suite} in {found.out}"
    if found.not_run:
        line += f"; not run: {', '.join(found.not_run)}"
    quarantined = sum(found.quarantined.values())
    return done(found.as_dict(), line + (f"; {quarantined} pairs in quarantine" if quarantined else ""), quarantined)


def _show(place: Place, found: Evaluated) -> None:
    tables = [Path(found.out) / "tables" / name for name in ("pairs.md", "sets.md")]
    lines = [path.read_text(encoding="utf-8") for path in tables if path.is_file()]
    lines += [f"page: `{found.page}`", *(f"not run: {name}: {why}" for name, why in found.not_run.items())]
    lines += [f"{name}: {count} pairs in quarantine" for name, count in found.quarantined.items()]
    show_text(place, "metrics", lines, "Means over pairs, best in bold")
    show_link(place, "report", found.page, "The page of the evaluation")
    if found.regressions:
        show_text(place, "regressions", [f"- {line}" for line in found.regressions], "Worse than before, beyond chance")
