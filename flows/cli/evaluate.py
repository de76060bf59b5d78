"""`mgi evaluate`: every method on every pair of a data set, and the tables that papers print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import completion
from flows.cli.common import (
    Answer,
    DashboardOption,
    PatienceOption,
    SchedulerOption,
    WorkersOption,
    choose_cluster,
    complain,
    err,
    guarded,
    local_path,
    made,
    out,
    say,
)
from flows.cli.dry_run import DryRunOption
from flows.settings import load_settings, use_prefect
from mgi.config import ConfigError

if TYPE_CHECKING:
    from flows.evaluation import Evaluated
    from tasks.suites.rows import Planned
    from tasks.suites.suite import Suite

Names = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        autocompletion=completion.rows,
        help="Only these rows, separated by commas.  [default: all]",
    ),
]


@guarded
def evaluate(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SUITE|SUITE.toml|RUN...",
            autocompletion=completion.suites,
            help="A suite by its name or file; or runs that are there; or an evaluation, to continue it.",
        ),
    ] = None,
    out_dir: Annotated[
        str | None, typer.Option("--out", metavar="FOLDER", help="Folder of the evaluation; one that is there goes on.")
    ] = None,
    sources: Annotated[Path | None, typer.Option(help="Folder of the sources, in place of the suite's.")] = None,
    exemplars: Annotated[Path | None, typer.Option(help="Folder of the exemplars, in place of the suite's.")] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FOLDER", help="Pictures that another program made, as a row of their own; may be repeated."
        ),
    ] = None,
    pairing: Annotated[
        str | None,
        typer.Option(
            metavar="zip|product|random|PAIRS.csv", autocompletion=completion.pairings, help="As of translate."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most this many pairs.")] = None,
    methods: Names = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            autocompletion=completion.metrics,
            help="Metrics of pairs and of sets, in place of the suite's.",
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="exemplars|sources|FOLDER", help="What sets are compared with.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[ROW:]SECTION.KEY=VALUE",
            help="A setting of a row, or of all rows; may be repeated. ROW may be a pattern such as cocosnet*.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="EVALUATION", help="An earlier evaluation; what got worse beyond chance is an error."),
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Smallest relative change that counts.")] = 0.0,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    patience: PatienceOption = None,
    dashboard: DashboardOption = False,
    dry_run: DryRunOption = False,
) -> Answer:
    """Run every method of a suite on every pair, measure the results, and write the tables and a page."""
    own = load_settings()
    where = choose_cluster(workers, scheduler, own, patience, dashboard)
    from flows import engine
    from flows.evaluation import evaluate_runs, with_folders
    from flows.progress import show_progress
    from tasks.suites.asked import changed, suite_of
    from tasks.suites.header import HEADER, read_header

    given, folder = [str(local_path(Path(name))) if "/" in name else name for name in what or []], out_dir
    runs = _runs_of(given)
    if len(given) == 1 and (Path(given[0]) / HEADER).is_file():
        (suite, runs), folder = read_header(given[0]), folder or given[0]
    elif given and len(runs) < len(given) and len(given) > 1:
        raise ConfigError(f"expected one suite, or runs; {next(n for n in given if n not in runs.values())} is no run")
    else:
        suite = suite_of(given[0] if given and not runs else None, results or [], bool(runs))
    if folder is None:
        raise ConfigError("--out is missing: expected the folder of the evaluation")
    if runs:
        ours = {"sources": sources, "exemplars": exemplars, "results": results, "pairing": pairing, "limit": limit}
        unused = [f"--{name}" for name, value in {**ours, "methods": methods, "set": settings}.items() if value]
        if unused:
            raise ConfigError(f"{', '.join(unused)}: runs have their pairs and settings; leave it out, or name a suite")
    suite = with_folders(suite, *(str(side) if side else None for side in (sources, exemplars)))
    added = results or [] if given and not runs else []
    suite = changed(suite, pairing, limit, metrics, reference, added, settings or [])
    only = [name.strip() for name in methods.split(",")] if methods else []
    if dry_run:
        return _show_runs(suite, folder, runs) if runs else _show_plan(suite, folder, only)
    with show_progress(err) as observer:
        if runs:
            found = evaluate_runs(suite, folder, runs, (*where, observer), baseline, tolerance)
        else:
            how = engine.Execution(*where, observer, use_prefect(own))
            found = engine.evaluate(suite, folder, how, only, baseline, tolerance)
    return _print(found)


def _runs_of(given: list[str]) -> dict[str, str]:
    """{name: folder} of those that are runs."""
    runs: dict[str, str] = {}
    for place in given:
        if not (Path(place) / "run.json").is_file():
            continue
        other = runs.setdefault(Path(place).name, place)
        if other != place:
            raise ConfigError(
                f"two runs are called {Path(place).name}, {other} and {place}: rows are called as their folders; "
                "rename one of them"
            )
    return runs


def _print(found: Evaluated) -> Answer:
    from tasks.suites.stored import leaderboard_of

    tables = [Path(found.out) / "tables" / name for name in ("pairs.md", "sets.md")]
    texts = [table.read_text(encoding="utf-8") for table in tables if table.is_file()]
    made(found.page, *texts, f"report: {found.page}")
    for name, reason in found.not_run.items():
        say(f"not run: {name}: {reason}")
    for name, count in found.quarantined.items():
        complain(f"{name}: {count} pairs in quarantine, see {found.runs[name]}/quarantine.csv")
    for line in found.regressions:
        complain(f"mgi: worse than before: {line}")
    if found.not_run:
        say(f"next: `mgi weights list` says what is missing; then `mgi evaluate {found.out}` adds these rows")
    means = {row["method"]: row["means"] for row in leaderboard_of([found.out]).rows}
    return Answer({**found.as_dict(), "means": means}, int(found.exit_code))


def _show_runs(suite: Suite, folder: str, runs: dict[str, str]) -> Answer:
    """Which runs would be measured, and by what."""
    from storage.run_store import RunStore
    from tasks.suites.rows import require_metrics

    require_metrics(suite)
    rows = []
    for name, run in runs.items():
        pairs = len(RunStore.open(run).pair_ids())
        rows.append({"name": name, "pairs": pairs, "seconds": None, "bytes": None, "not_run": None})
        out.print(f"{name:<22}{pairs} pairs of {run}", markup=False)
    metrics = [*suite.metrics, *suite.sets]
    out.print(f"metrics     {', '.join(metrics)}, where they are missing", markup=False)
    out.print("time        not estimated; pairs that are unfinished are done first\nnothing was written", markup=False)
    return Answer({"out": folder, "rows": rows, "metrics": metrics, "missing": {}, "seconds": 0.0, "bytes": 0.0})


def _show_plan(suite: Suite, folder: str, only: list[str]) -> Answer:
    """What would be run, what is missing, how long it takes and how much is written; nothing is written now."""
    from tempfile import TemporaryDirectory

    from tasks.suites.data import with_data

    if not suite.data.generator:
        return _show_rows(suite, folder, only, 1)
    count = suite.data.limit or 1
    out.print(f"data        {count} pairs of samples of {suite.data.generator}, drawn first", markup=False)
    with TemporaryDirectory() as place:  # one pair is drawn and measured for all
        one = suite.model_copy(update={"data": suite.data.model_copy(update={"limit": 1})})
        return _show_rows(with_data(one, place, lambda text: None), folder, only, count)


def _show_rows(suite: Suite, folder: str, only: list[str], times: int) -> Answer:
    """`times`: how many pairs each of the suite's stands for."""
    from flows.cli.sizes import size_in_words
    from tasks.report.template import duration
    from tasks.suites.rows import plan_rows

    rows: list[dict[str, Any]] = []
    for planned in plan_rows(suite, folder, only):
        rows.append(_expected(planned, times, {row["name"]: row for row in rows}))
    for row in rows:
        said = row["not_run"]
        if row["seconds"] is not None:
            said = f"about {duration(row['seconds'])}, at most {size_in_words(row['bytes'])}"
        count = f"{row['pairs']} pairs, " if row["pairs"] else ""
        out.print(f"{row['name']:<22}{count}{said}", markup=False)
    seconds, written = (sum(row[key] or 0.0 for row in rows) for key in ("seconds", "bytes"))
    metrics, missing = [*suite.metrics, *suite.sets], _missing(suite)
    out.print(f"metrics     {', '.join(metrics)}", markup=False)
    for network, (remedy, measured_by) in missing.items():
        out.print(f"missing     {network} for {', '.join(measured_by)}: `{remedy}`", markup=False)
    out.print(f"time        about {duration(seconds)}, metrics apart", markup=False)
    out.print(f"disk        at most {size_in_words(written)} of pictures and arrays,", markup=False)
    out.print("            and one or two MiB per row of pages and tables\nnothing was written", markup=False)
    lacking = {name: names for name, (_, names) in missing.items()}
    answer = {"out": folder, "rows": rows, "metrics": metrics, "missing": lacking}
    return Answer({**answer, "seconds": seconds, "bytes": written})


def _missing(suite: Suite) -> dict[str, tuple[str, list[str]]]:
    """{network that is not here: (what brings it, the metrics that need it)}."""
    from mgi.metrics.registry import chosen, metric
    from mgi.weights import zoo

    found: dict[str, tuple[str, list[str]]] = {}
    for one in [*chosen(",".join(suite.metrics), suite.task), *map(metric, suite.sets)]:
        for name in one.weights:
            if remedy := zoo.absent(zoo.entry(name)):
                found.setdefault(name, (remedy, []))[1].append(one.name)
    return found


def _expected(planned: Planned, times: int, before: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A row of an evaluation before it is run; `not_run` says why nothing is estimated, if so.

    `before`: earlier rows by name; pictures that a row takes from one of them are written once more.
    """
    from flows.session import count_workers
    from mgi.weights import WeightsError
    from tasks.estimates.forecast import forecast
    from tasks.stages.plan import make_plan

    row: dict[str, Any] = {"name": planned.name, "pairs": None, "seconds": None, "bytes": None, "not_run": None}
    if planned.taken is not None:
        parent = before[planned.taken[0]]
        return {**row, "pairs": parent["pairs"], "bytes": parent["bytes"], "not_run": f"pictures of {parent['name']}"}
    plan = make_plan(planned.request)
    row["pairs"] = times * len(plan.pairs)
    try:
        found = forecast(plan, count_workers(0))
    except WeightsError as error:  # of files that the user brings
        return {**row, "not_run": f"not run: {error}"}
    if found.estimate is not None:
        seconds = found.estimate.seconds() + (times - 1) * sum(piece.total for piece in found.estimate.shared)
        return {**row, "seconds": seconds, "bytes": times * found.estimate.bytes}
    missing = [network.name for network in found.missing]
    said = f"not run: weights {', '.join(missing)} missing" if missing else found.not_estimated or "not estimated"
    return {**row, "not_run": said}
