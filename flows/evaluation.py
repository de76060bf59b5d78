"""An evaluation from suite to page: every row becomes a run, sets are measured, tables and page are written.

Rows are ordinary runs (`flows.pipeline.translate_run`), so an evaluation may be killed at any moment and continued by
the same command: what is done is done. A row whose weights are missing is left out and says so; the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flows.errors import Exit
from flows.pipeline import Summary, resume_run, translate_run
from flows.progress import Observer
from flows.settings import Workers
from flows.stages import StageCall, stage_of_shard
from mgi.config import ConfigError
from mgi.weights import WeightsError
from storage.run_lock import run_lock
from tasks.suites.header import write_header
from tasks.suites.rows import Planned, chosen_rows, filled, may_grow, pictures_of, plan_rows, write_taken
from tasks.suites.suite import REFERENCES, Row, Suite


@dataclass(frozen=True)
class Evaluated:
    """How an evaluation stands after a command: counts and paths only, so that Prefect can keep it."""

    out: str
    suite: str
    page: str
    runs: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    computed: int = 0
    regressions: tuple[str, ...] = ()
    unrecorded: str | None = None
    """Why Prefect's records of the command are incomplete, if they are."""

    @property
    def exit_code(self) -> Exit:
        """0 when every row that has its weights is whole, 1 after a regression, 3 when pairs are in quarantine."""
        if self.regressions:
            return Exit.FAILED
        return Exit.QUARANTINED if any(self.quarantined.values()) else Exit.DONE

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with the exit code."""
        return {**asdict(self), "exit_code": int(self.exit_code)}


def evaluate_suite(
    suite: Suite,
    out: str,
    workers: Workers,
    scheduler: str | None,
    observer: Observer,
    call: StageCall = stage_of_shard,
    only: Sequence[str] = (),
    baseline: str | None = None,
    tolerance: float = 0.0,
) -> Evaluated:
    """Run what is left of a suite and write its tables and page.

    Args:
        suite: with whole paths; `tasks.suites.suite.load_suite`.
        out: folder of the evaluation; one that is there is continued. More pairs, by a larger limit or files that came,
            are added to its rows.
        workers, scheduler, observer, call: as of `flows.pipeline.resume_run`.
        only: names of the rows that are wanted; empty: all.
        baseline: an earlier evaluation to compare with; what got worse beyond chance is a regression.
        tolerance: changes below this share of the earlier number are none.

    Raises:
        ConfigError, storage.folders.InputError: something of the suite cannot be used; one line, before any work.
        storage.run_lock.RunLocked: another process works on this evaluation.
    """
    from tasks.suites.data import with_data
    from tasks.suites.frame import read_frame

    before = read_frame(baseline) if baseline else None
    chosen_rows(suite, only)  # before samples are drawn
    Path(out).mkdir(parents=True, exist_ok=True)
    with run_lock(Path(out)):
        suite = with_data(suite, out, observer.say)
        rows = plan_rows(suite, out, only)
        _require_shared(before, baseline, [planned.name for planned in rows])
        write_header(out, suite)
        done: dict[str, Summary] = {}
        absent: dict[str, str] = {}
        runs: dict[str, str] = {}
        for planned in rows:
            try:
                row, summary = _run(planned, suite, out, runs, (workers, scheduler, observer), call)
            except WeightsError as error:
                absent[planned.name] = f"weights missing ({' '.join(str(error).split())})"
                observer.say(f"{planned.name} is not run: {error}")
                continue
            done[row.name], runs[row.name] = summary, row.folder
        return _write(suite, out, runs, absent, done, observer, before, tolerance)


def evaluate_runs(
    suite: Suite,
    out: str,
    runs: dict[str, str],
    where: tuple[Workers, str | None, Observer],
    baseline: str | None = None,
    tolerance: float = 0.0,
) -> Evaluated:
    """Tables and page of runs that are there; what they lack of the suite's metrics is measured.

    Args:
        suite: its metrics and references.
        out: folder of the evaluation.
        runs: {name: folder of a run}.
        where: workers, scheduler and observer.
        baseline, tolerance: as of `evaluate_suite`.
    """
    from storage.run_store import RunStore
    from tasks.suites.frame import read_frame
    from tasks.suites.rows import require_metrics

    before = read_frame(baseline) if baseline else None
    _require_shared(before, baseline, list(runs))
    require_metrics(suite)
    stores = {name: RunStore.open(run) for name, run in runs.items()}
    Path(out).mkdir(parents=True, exist_ok=True)
    with run_lock(Path(out)):
        write_header(out, suite, runs)
        suite = suite.model_copy(update={"methods": tuple(Row.model_construct(name=name) for name in runs)})
        done = {}
        for name, store in stores.items():
            had = str((store.header.get("metrics") or {}).get("wanted") or "")
            wanted = ",".join(dict.fromkeys([*filter(None, had.split(",")), *suite.metrics]))
            done[name] = resume_run(runs[name], *where, metrics=wanted)
        return _write(suite, out, runs, {}, done, where[2], before, tolerance)


def _require_shared(before: Any, baseline: str | None, names: Sequence[str]) -> None:
    """Raise ConfigError if an earlier evaluation has none of these rows."""
    if before is None:
        return
    had = sorted(set(before["method"].dropna()))
    if not set(had) & set(names):
        raise ConfigError(
            f"--baseline {baseline}: expected an evaluation with one of the rows {', '.join(names)}, "
            f"found {', '.join(had) or 'none'}"
        )


def _run(
    planned: Planned,
    suite: Suite,
    out: str,
    runs: dict[str, str],
    where: tuple[Workers, str | None, Observer],
    call: StageCall,
) -> tuple[Planned, Summary]:
    """One row: its run, done as far as it can be."""
    if planned.taken is not None:
        parent, what = planned.taken
        if parent not in runs:
            raise WeightsError(f"{parent}, whose pictures these are, is not run")
        write_taken(runs[parent], what, pictures_of(planned, out))
        planned = filled(planned, out, runs[parent])
    where[2].say(f"row {planned.name}")
    metrics = ",".join(suite.metrics) or "none"
    grows = may_grow(planned)
    return planned, translate_run(planned.request, planned.folder, *where, call, metrics=metrics, extend=grows)


def _write(
    suite: Suite,
    out: str,
    runs: dict[str, str],
    absent: dict[str, str],
    done: dict[str, Summary],
    observer: Observer,
    before: Any,
    tolerance: float,
) -> Evaluated:
    from tasks.suites.compare import comparison
    from tasks.suites.page import PAGE, write_page
    from tasks.suites.tables import table_of

    observer.say("measuring sets and writing the tables")
    table = table_of(suite, out, runs, absent, observer.say)
    write_page(out, suite, table, runs)
    regressions: list[str] = []
    if before is not None:
        found = comparison(before, table, tolerance)
        regressions = found.regressions
        for line in [f"note: {note}" for note in found.notes] + [f"worse than before: {line}" for line in regressions]:
            observer.say(line)
    return Evaluated(
        out=out,
        suite=suite.name,
        page=str(Path(out) / PAGE),
        runs=runs,
        not_run=absent,
        quarantined={name: len(summary.quarantined) for name, summary in done.items() if summary.quarantined},
        computed=sum(sum(summary.computed.values()) for summary in done.values()),
        regressions=tuple(regressions),
    )


def with_folders(suite: Suite, sources: str | None, exemplars: str | None) -> Suite:
    """The suite with the user's folders in place of its own."""
    given = {
        side: str(Path(folder).absolute())
        for side, folder in zip(REFERENCES, (sources, exemplars), strict=True)
        if folder
    }
    if not given:
        return suite
    return suite.model_copy(update={"data": suite.data.model_copy(update={**given, "generator": ""})})


def runs_of(out: str) -> dict[str, str]:
    """{row: folder of its run} of an evaluation, as its table names them.

    Raises:
        ConfigError: there is no evaluation in that folder.
    """
    from tasks.suites.frame import read_frame

    table = read_frame(out)
    known = table[table["run"].notna() & table["run"].ne("") & table["status"].ne("published")]
    return {str(name): str(run) for name, run in known.groupby("method", sort=False)["run"].first().items()}
