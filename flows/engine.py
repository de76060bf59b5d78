"""With Prefect or without: who calls the pipeline when the user types a command.

Prefect needs a server to report to. If `PREFECT_API_URL` names one, commands run as flows and show up there. If not,
the same pipeline runs as plain functions: a temporary server would cost every command 10 to 30 seconds and survive a
killed command, only to keep records that nobody sees and that decide nothing (the store's markers do).
`MGI_PREFECT=always` uses a temporary server anyway, `never` ignores any server.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_dir

from flows.arguments import Arguments
from flows.pipeline import Summary, request_of, resume_run, select_run, translate_run
from flows.progress import Observer
from flows.records import watched
from flows.remote import working_folder
from flows.settings import Workers
from storage.run_store import RunStore
from tasks.unit import Job

if TYPE_CHECKING:
    from flows.evaluation import Evaluated
    from tasks.suites.suite import Suite

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_CLIENT_MAX_RETRIES": "2",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}
"""No telemetry, no log lines between our progress bars (errors arrive as exceptions), the time that the first start
of a temporary server really takes, and heartbeats as in `prefect.yaml`, so that automations treat commands as they
treat deployments. What the user has set stays."""


def prepare_environment() -> None:
    """Set Prefect's switches; must come before anything imports it."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if not os.environ.get("PREFECT_API_URL"):  # a temporary server's database belongs here, not in ~/.prefect
        os.environ.setdefault("PREFECT_HOME", str(Path(user_cache_dir("mgi")) / "prefect"))


@dataclass(frozen=True)
class Execution:
    """How, not what: where units run, what shows progress, and whether Prefect watches."""

    workers: Workers
    scheduler: str | None
    observer: Observer
    prefect: bool
    metrics: str | None = None
    """Metrics to measure results by, see `mgi metrics`; None: as before in this run."""


def start(asked: Arguments, run: str, how: Execution) -> Summary:
    """Do what is asked for, in the folder `run`.

    Args:
        asked: what the user asks for; these are the parameters of the flow run, if there is one.
        run: the run's folder.
        how: where to run it, and what watches.
    """

    def plain() -> Summary:
        asked_for = request_of(asked)
        where = (how.workers, how.scheduler, how.observer)
        return translate_run(asked_for, run, *where, metrics=how.metrics, extend=asked.extend)

    if not how.prefect:
        return plain()
    prepare_environment()
    from flows.translate import start_flow

    return watched(lambda: _summary(start_flow(asked, run, how.workers, how.scheduler, how.metrics)), plain)


def write_videos(run: str, count: int, how: Execution) -> list[str]:
    """Write videos of the first pictures of a finished run that have a result; returns their paths."""
    from tasks.report.movie import ADVICE, WEBP
    from tasks.report.video import FOLDER, write_videos

    with working_folder(run, how.observer.say) as place:
        job, written = Job.of(RunStore.open(place.folder)), []
        for path in write_videos(job, count):
            written.append(f"{run}/{FOLDER}/{path.name}")
            how.observer.say(f"video: {written[-1]}")
    if any(path.endswith(WEBP) for path in written):
        how.observer.say(f"note: these videos are WebP; {ADVICE}")
    return written


def resume(run: str, how: Execution, retry: bool = False, check: bool = False) -> Summary:
    """Continue the run in a folder; `retry` takes quarantined pairs back, `check` looks for damage first."""

    def plain() -> Summary:
        where = (how.workers, how.scheduler, how.observer)
        return resume_run(run, *where, retry=retry, metrics=how.metrics, check=check)

    if not how.prefect:
        return plain()
    prepare_environment()
    from flows.resume import start_resume

    return watched(lambda: _summary(start_resume(run, how.workers, how.scheduler, retry, how.metrics, check)), plain)


def select(
    run: str, rule: str | None, fidelity_bound: float | None, critic_margin: float | None, how: Execution
) -> Summary:
    """Choose again among the hypotheses of a run, by another rule, other guards or both."""

    def plain() -> Summary:
        return select_run(run, rule, fidelity_bound, critic_margin, how.workers, how.scheduler, how.observer)

    if not how.prefect:
        return plain()
    prepare_environment()
    from flows.resume import start_select

    guards = (rule, fidelity_bound, critic_margin)
    return watched(lambda: _summary(start_select(run, guards, how.workers, how.scheduler)), plain)


def evaluate(
    suite: Suite,
    out: str,
    how: Execution,
    only: Sequence[str] = (),
    baseline: str | None = None,
    tolerance: float = 0.0,
) -> Evaluated:
    """Run what is left of a suite, see `flows.evaluation.evaluate_suite`."""
    from flows.evaluation import evaluate_suite

    def plain() -> Evaluated:
        where = (how.workers, how.scheduler, how.observer)
        return evaluate_suite(suite, out, *where, only=only, baseline=baseline, tolerance=tolerance)

    if not how.prefect:
        return plain()
    prepare_environment()
    from flows.evaluate import start_evaluation

    return watched(
        lambda: start_evaluation(suite, out, how.workers, how.scheduler, list(only), baseline, tolerance), plain
    )


def _summary(data: dict[str, Any]) -> Summary:
    return Summary(**{name: value for name, value in data.items() if name != "exit_code"})
