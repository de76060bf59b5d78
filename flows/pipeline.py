"""A run from plan to report: the folder is made, what is left of its stages is done, and the page is written.

Plain functions that run with or without Prefect: `flows.translate` wraps them into a flow whose tasks are the stages of
the shards. The store's markers alone say what is done, so every function here may be killed and called again.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flows.arguments import Arguments, require_apart
from flows.changed import look_back, renew_changed
from flows.errors import Exit
from flows.growing import grow_run
from flows.healing import heal
from flows.progress import Observer
from flows.remote import on_working_folder
from flows.session import Session, ask_layout, count_workers, open_session
from flows.settings import Workers
from flows.stages import StageCall, run_stages, stage_of_shard
from mgi.config import RunConfig
from mgi.profiles import load_config, whole_paths
from storage.run_header import check_weights
from storage.run_store import RunStore
from tasks.grow import require_scores
from tasks.growth import plan_for, reselection
from tasks.stages.plan import Request, create_run, weight_hashes
from tasks.stages.report import report_run
from tasks.stored import stored_config
from tasks.unit import REPORT, Job, check_own_files
from tasks.workers.sizing import threads_per_worker


@dataclass(frozen=True)
class Summary:
    """How a run stands after a command: ids and counts only, so that Prefect can keep it."""

    run: str
    pairs: int
    done: int
    task: str = "translate"
    quarantined: dict[str, str] = field(default_factory=dict)
    computed: dict[str, int] = field(default_factory=dict)
    """Units that were done, by stage."""
    failed: dict[str, int] = field(default_factory=dict)
    """Units that failed, by stage."""
    seconds: float = 0.0
    report: str | None = None
    unrecorded: str | None = None
    """Why Prefect's records of the command are incomplete, if they are."""
    copy: str | None = None
    """Folder of this machine in which a remote run was worked on."""
    behind: str | None = None
    """Why the address of a remote run does not have all of the copy, if so."""

    @property
    def exit_code(self) -> Exit:
        """0 when every pair has its result, 3 when some are in quarantine, 1 when the address lacks some."""
        if self.behind:
            return Exit.FAILED
        return Exit.QUARANTINED if self.quarantined else Exit.DONE

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with the exit code."""
        return {**asdict(self), "exit_code": int(self.exit_code)}


def request_of(asked: Arguments) -> Request:
    """The request that the user's arguments make.

    Relative paths start at the working directory, except those in the user's own profile, which start at its folder.

    Raises:
        ConfigError: the profile or an override cannot be used.
    """
    config = load_config(asked.profile, {**asked.overrides, "task": asked.task}, asked.method)
    config = RunConfig.model_validate(whole_paths("", config.model_dump(), Path.cwd()))
    places = (asked.sources, asked.exemplars, asked.pairing)
    sources, exemplars, pairing = map(os.path.expanduser, places)  # Path refuses an unknown ~user
    return Request(sources, exemplars, config, pairing, asked.limit, asked.seed)


@on_working_folder(new=True)
def translate_run(
    request: Request,
    run: str,
    workers: Workers,
    scheduler: str | None,
    observer: Observer,
    call: StageCall = stage_of_shard,
    metrics: str | None = None,
    extend: bool = False,
) -> Summary:
    """Translate what `request` asks for into the folder `run`; a run that is there already is continued.

    Args:
        request: what is asked for. Hypotheses that it has and the run lacks are added to the run.
        run: the run's folder, or the address of a remote one.
        workers, scheduler, observer, call, metrics: as of `resume_run`.
        extend: also add pairs that the run lacks; if there is no run yet, it begins one.

    Raises:
        storage.run_store.RunConflict: the folder holds another run; the message lists the differences.
    """
    require_apart(run, request.sources, request.exemplars)
    store, plan, found = plan_for(request, run, extend)
    for warning in plan.warnings:
        observer.say(f"note: {warning}")
    if store and found:
        grow_run(store, found, workers, scheduler, observer)
    elif store is None:
        threads = None if scheduler else threads_per_worker(count_workers(workers))
        create_run(plan, run, *ask_layout(request.config, threads, workers, scheduler, observer))
    return resume_run(run, workers, scheduler, observer, call, metrics=metrics)


@on_working_folder()
def resume_run(
    run: str,
    workers: Workers,
    scheduler: str | None,
    observer: Observer,
    call: StageCall = stage_of_shard,
    retry: bool = False,
    metrics: str | None = None,
    check: bool = False,
) -> Summary:
    """Do what is left of a run.

    Args:
        run: the run's folder.
        workers: local worker processes, or "auto".
        scheduler: address of a Dask scheduler to use instead.
        observer: shows progress.
        call: runs one stage of one shard; Prefect's task, or the stage itself.
        retry: take quarantined pairs back and try them again.
        metrics: what the results are measured by from now on, see `mgi metrics`; None: as before.
        check: look for damaged files first, finished results included.

    Raises:
        storage.run_store.NoRun: there is no run in that folder. RunLocked: another process works on it. RunConflict:
            the generator, the mask, the domain or weights of the zoo were replaced since it began.
    """
    start = time.perf_counter()
    store = RunStore.open(run)
    check_weights(store.path, store.header.get("weights") or {}, weight_hashes(stored_config(store.header, run)))
    with open_session(Job.of(store), observer, workers, scheduler, metrics) as session:
        heal(session, retry, check)
        if retry:
            session.release_quarantined()
        renew_changed(session)
        run_stages(session, call)
        if session.worked:
            look_back(session)
        report = _report(session)
        return _summary(session, run, time.perf_counter() - start, report)


@on_working_folder()
def select_run(
    run: str,
    rule: str | None,
    fidelity_bound: float | None,
    critic_margin: float | None,
    workers: Workers,
    scheduler: str | None,
    observer: Observer,
    call: StageCall = stage_of_shard,
) -> Summary:
    """Choose again among the hypotheses of a run, and render what was chosen; nothing is inverted.

    Args:
        run: the run's folder.
        rule: name of a selection rule; None keeps the one it has.
        fidelity_bound: `selection.fidelity_bound`; None keeps the one it has.
        critic_margin: `selection.critic_margin`; None keeps the one it has.
        workers, scheduler, observer, call: as of `resume_run`.

    Raises:
        ConfigError: no such rule or bound, or pairs that have no scores yet. storage.run_store.RunConflict: the run's
            search kept too few hypotheses for that rule.
    """
    start = time.perf_counter()
    store = RunStore.open(run)
    opened = Job.of(store).open()
    check_own_files(store, opened.config)
    found = reselection(run, store.header, rule, fidelity_bound, critic_margin)
    require_scores(opened)
    if found:
        grow_run(store, found, workers, scheduler, observer)
    with open_session(opened.job, observer, workers, scheduler) as session:
        run_stages(session, call)
        report = _report(session)
        return _summary(session, run, time.perf_counter() - start, report)


def _summary(session: Session, run: str, seconds: float, report: str | None) -> Summary:
    ids = session.run.pair_ids()
    return Summary(
        run=run,
        pairs=len(ids),
        done=len(session.ledger.finished(ids)),
        task=session.run.config.task,
        quarantined={id: entry.reason for id, entry in session.run.store.quarantined().items()},
        computed=dict(session.computed),
        failed=dict(session.failed),
        seconds=seconds,
        report=report,
    )


def _report(session: Session) -> str | None:
    """Build the report where anything is newer than it; returns its path."""
    path = Path(session.job.run) / "report.html"
    marker = session.run.store.done(REPORT, REPORT)
    state: dict[str, Any] = {
        "results": len(session.ledger.finished(session.run.pair_ids())),
        "quarantined": len(session.run.store.quarantined()),
    }
    if session.run.metric_keys:  # runs of before have no such entry, and are not reported again for its sake
        state["metrics"] = session.run.metric_keys
    if not session.worked and path.exists() and marker is not None and marker.get("state") == state:
        return str(path)
    session.observer.say("building the report")
    built = session.pool.call(report_run, session.job)
    session.run.store.publish(REPORT, REPORT, pair_index=0, arrays=[], payload={"state": state})
    return str(built)
