"""The translation pipeline: plan, then warp, invert, score and select shard by shard, then the report.

Plain functions that run with or without Prefect: `flows.translate` wraps them into a flow whose tasks are the stages of
the shards. What is done is in the store's markers alone, so every function here may be killed and called again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flows.changed import look_back, renew_changed
from flows.errors import Exit
from flows.progress import STAGES, Observer
from flows.session import Session, count_workers, current_session, open_session
from flows.settings import Workers
from mgi.config import RunConfig
from mgi.profiles import load_config, whole_paths
from storage.run_store import RunStore
from tasks.method import layout_of
from tasks.preview import preview_path
from tasks.stages import select
from tasks.stages.plan import Request, check_same_run, create_run, make_plan
from tasks.stages.report import report_run
from tasks.stored import stored_config
from tasks.unit import REPORT, Job, check_own_files, lane_key
from tasks.workers.cluster import open_pool
from tasks.workers.sizing import threads_per_worker

SHARD = 64
"""Pairs per shard: one Prefect task is one stage of one shard, and costs milliseconds however large the shard is."""

Choices = dict[str, dict[str, Any]]
"""{pair id: choice}, by the rule that compares whole sets."""
StageCall = Callable[[str, int, list[str], Choices | None], int]


@dataclass(frozen=True)
class Summary:
    """How a run stands after a command: ids and counts only, so that Prefect can keep it."""

    run: str
    pairs: int
    done: int
    quarantined: dict[str, str] = field(default_factory=dict)
    computed: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    report: str | None = None

    @property
    def exit_code(self) -> Exit:
        """0 when every pair has its result, 3 when some are in quarantine."""
        return Exit.QUARANTINED if self.quarantined else Exit.DONE

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with the exit code."""
        return {**asdict(self), "exit_code": int(self.exit_code)}


def request_of(
    sources: str,
    exemplars: str | None = None,
    profile: str = "embedded",
    pairing: str = "zip",
    limit: int | None = None,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    method: str | None = None,
) -> Request:
    """The request that a person's arguments make; without exemplars the pictures are inverted as they are.

    Relative paths start at the working directory, but for those in a profile of one's own, which start at its folder.

    Raises:
        ConfigError: the profile or an override cannot be used.
    """
    task = "invert" if exemplars is None else "translate"
    config = load_config(profile, {**(overrides or {}), "task": task}, method)
    config = RunConfig.model_validate(whole_paths("", config.model_dump(), Path.cwd()))
    sources, exemplars, pairing = (os.path.expanduser(text or "") for text in (sources, exemplars, pairing))  # noqa: PTH111
    return Request(sources, exemplars, config, pairing, limit, seed)


def translate_run(
    request: Request,
    run: str,
    workers: Workers,
    scheduler: str | None,
    observer: Observer,
    call: StageCall | None = None,
) -> Summary:
    """Translate what `request` asks for into the folder `run`; a run that is there already is gone on with.

    Raises:
        storage.run_store.RunConflict: the folder holds another run; the message lists the differences.
    """
    plan = make_plan(request)
    for warning in plan.warnings:
        observer.say(f"note: {warning}")
    if (Path(run) / "run.json").exists():
        check_same_run(plan, run)
    else:
        count = count_workers(workers)
        threads = None if scheduler else threads_per_worker(count)
        with open_pool(count, scheduler, observer.beat) as pool:
            layout = pool.call(layout_of, request.config.model_dump_json(), threads)
        create_run(plan, run, layout, threads)
    return resume_run(run, workers, scheduler, observer, call)


def resume_run(
    run: str,
    workers: Workers,
    scheduler: str | None,
    observer: Observer,
    call: StageCall | None = None,
    retry: bool = False,
) -> Summary:
    """Do what is left of a run.

    Args:
        run: the run's folder.
        workers: local worker processes, or "auto".
        scheduler: address of a Dask scheduler to use instead.
        observer: shows progress.
        call: runs one stage of one shard; Prefect's task, or the stage itself.
        retry: take quarantined pairs back and try them again.

    Raises:
        storage.run_store.NoRun: there is no run in that folder. RunLocked: another process works on it. RunConflict:
            the generator, the mask or the domain was replaced since it began.
    """
    start = time.perf_counter()
    store = RunStore.open(run)
    check_own_files(store, stored_config(store.header, run))
    job = Job(str(Path(run).resolve()), store.header["digest"], store.header.get("threads"))
    with open_session(job, observer, workers, scheduler) as session:
        if retry:
            session.release_quarantined()
        renew_changed(session)
        _run_stages(session, call or stage_of_shard)
        if session.computed:
            look_back(session)
        report = _report(session)
        ids = session.run.pair_ids()
        quarantined = {id: entry.reason for id, entry in session.run.store.quarantined().items()}
        return Summary(
            run=run,
            pairs=len(ids),
            done=len(set(ids) & session.run.store.keys_done(select.STAGE)),
            quarantined=quarantined,
            computed=dict(session.computed),
            seconds=time.perf_counter() - start,
            report=report,
        )


def stage_of_shard(stage: str, shard: int, pair_ids: list[str], choices: Choices | None = None) -> int:
    """Run one stage of one shard in the current session; `shard` only names it. Returns the units computed."""
    from flows import stages  # the method's package imports PyTorch, which a finished run does not need

    session = current_session()
    if stage == select.STAGE:
        return stages.select_shard(session, pair_ids, choices)
    run_stage: stages.ShardStage = getattr(stages, f"{stage}_shard")
    return run_stage(session, pair_ids)


def _run_stages(session: Session, call: StageCall) -> None:
    ids = session.run.pair_ids()
    _announce(session, ids)
    shards = [ids[start : start + SHARD] for start in range(0, len(ids), SHARD)]
    whole_set = session.run.config.selection.rule == select.SET_RULE
    for number, shard in enumerate(shards):
        for stage in STAGES:
            if not (stage == select.STAGE and whole_set):
                _stage(session, call, stage, number, shard, None)
    if whole_set:
        choices: Choices = {}
        for number, shard in enumerate(shards):
            if _pending(session, select.STAGE, shard):
                choices = choices or session.pool.call(select.select_set, session.job, session.alive(ids))
                mine = {pair_id: choices[pair_id] for pair_id in session.alive(shard)}
                _stage(session, call, select.STAGE, number, shard, mine)


def _stage(
    session: Session, call: StageCall, stage: str, number: int, shard: list[str], choices: Choices | None
) -> None:
    if not _pending(session, stage, shard):
        return
    preview = preview_path(session.run.store)
    seen = preview.exists()
    call(stage, number, shard, choices)
    if not seen and preview.exists():
        session.observer.say(f"first preview: {preview}")


def _pending(session: Session, stage: str, pair_ids: list[str]) -> bool:
    """Whether any unit of a stage is left for these pairs; cheap, and true too often rather than too seldom."""
    done = session.run.store.keys_done(stage)
    alive = session.alive(pair_ids)
    if stage == "invert":
        hypotheses = session.run.config.inversion.all_hypotheses()
        return any(lane_key(pair_id, hypothesis.id) not in done for pair_id in alive for hypothesis in hypotheses)
    if stage == select.STAGE and not all(select.final_path(session.job.run, pair_id).exists() for pair_id in alive):
        return True
    return any(pair_id not in done for pair_id in alive)


def _announce(session: Session, ids: list[str]) -> None:
    store, alive = session.run.store, set(session.alive(ids))
    lanes = len(session.run.config.inversion.all_hypotheses())
    for stage in STAGES:
        done = store.keys_done(stage)
        if stage == "invert":
            done = {key for key in done if key.rpartition(".")[0] in alive}
            session.observer.begin(stage, len(alive) * lanes, len(done))
        else:
            session.observer.begin(stage, len(alive), len(done & alive))


def _report(session: Session) -> str | None:
    """Build the report where anything is newer than it; returns its path."""
    path = Path(session.job.run) / "report.html"
    marker = session.run.store.done(REPORT, REPORT)
    state = {
        "results": len(session.run.store.keys_done(select.STAGE)),
        "quarantined": len(session.run.store.quarantined()),
    }
    if not session.computed and path.exists() and marker is not None and marker.get("state") == state:
        return str(path)
    session.observer.say("building the report")
    built = session.pool.call(report_run, session.job)
    session.run.store.publish(REPORT, REPORT, pair_index=0, arrays=[], payload={"state": state})
    return str(built)
