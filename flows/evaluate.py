"""The flow `evaluate` as Prefect sees it: for schedules, with a run that fails when results got worse.

    prefect deployment run evaluate/evaluate --param suite=kaokore --param sources=/data/a --param exemplars=/data/b

`out` may hold `{date}`, which becomes the day, and `baseline` may be `previous`: the newest earlier evaluation under
the same pattern. So one schedule makes one evaluation per day and compares it with the last.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import Field

from flows.evaluation import Evaluated, evaluate_suite, with_folders
from flows.records import noted, still
from flows.settings import Workers
from flows.translate import WorkerCount, observer, shard_stage
from tasks.suites.asked import changed
from tasks.suites.suite import Suite, load_suite

PREVIOUS, DATE = "previous", "{date}"


class Regressed(RuntimeError):
    """Results are worse than those of the baseline; the flow run ends as failed, so that automations see it."""

    def __init__(self, found: Evaluated) -> None:
        super().__init__(f"worse than before: {'; '.join(found.regressions)}; see {found.page}")
        self.found = found


@flow(name="evaluate", persist_result=False, validate_parameters=True)
def evaluate(
    suite: str | dict[str, Any],
    out: str,
    sources: str | None = None,
    exemplars: str | None = None,
    limit: Annotated[int, Field(ge=1)] | None = None,
    methods: list[str] | None = None,
    metrics: str | None = None,
    reference: str | None = None,
    settings: list[str] | None = None,
    baseline: str | None = None,
    tolerance: Annotated[float, Field(ge=0)] = 0.0,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
) -> dict[str, Any]:
    """Run every method of a suite on every pair, and write the tables and the page.

    Args:
        suite: name of a suite, path of a .toml file, or a suite as data.
        out: folder of the evaluation; one that is there is continued. `{date}` becomes the day.
        sources: folder of the sources, in place of the suite's.
        exemplars: folder of the exemplars, in place of the suite's.
        limit: at most this many pairs.
        methods: only these rows.
        metrics: metrics of pairs and of sets with commas between them, in place of the suite's.
        reference: exemplars, sources or a folder: what sets are compared with.
        settings: `[ROW:]SECTION.KEY=VALUE`, settings of a row or of all rows.
        baseline: an earlier evaluation, or `previous`; what got worse beyond chance makes this run fail.
        tolerance: changes below this share of the earlier number are none.
        workers: as for `translate`.
        scheduler: as for `translate`.
    """
    asked = Suite.model_validate(suite) if isinstance(suite, dict) else load_suite(suite)
    asked = changed(with_folders(asked, sources, exemplars), None, limit, metrics, reference, [], settings or [])
    folder, before = dated(out, baseline, datetime.datetime.now(datetime.UTC).date())
    where = (workers, scheduler, observer())
    found = noted(lambda: evaluate_suite(asked, folder, *where, still(shard_stage), methods or (), before, tolerance))
    create_markdown_artifact(_report(found), key="evaluation", description="Means over pairs, best in bold")
    if found.regressions:
        raise Regressed(found)
    return found.as_dict()


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
        data = evaluate(suite=suite.model_dump(mode="json"), out=out, methods=only or None, **where)
    except Regressed as error:
        return error.found
    return Evaluated(**{name: value for name, value in data.items() if name != "exit_code"})


def dated(out: str, baseline: str | None, today: datetime.date) -> tuple[str, str | None]:
    """The folder of today's evaluation, and the one to compare it with.

    Example:
        >>> dated("runs/{date}", None, datetime.date(2026, 3, 1))
        ('runs/2026-03-01', None)
    """
    folder = out.replace(DATE, today.isoformat())
    if baseline != PREVIOUS:
        return folder, baseline
    place = Path(out)
    others = sorted(Path(place.anchor or ".").glob(str(place.relative_to(place.anchor)).replace(DATE, "*-*-*")))
    earlier = [p for p in others if str(p) < str(Path(folder)) and (p / "tables" / "evaluation.parquet").is_file()]
    return folder, str(earlier[-1]) if earlier else None


def _report(found: Evaluated) -> str:
    table = (Path(found.out) / "tables" / "pairs.md").read_text(encoding="utf-8")
    lines = [table, f"page: `{found.page}`", *(f"not run: {name}: {why}" for name, why in found.not_run.items())]
    return "\n\n".join([*lines, *(f"worse than before: {line}" for line in found.regressions)])
