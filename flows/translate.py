"""The flows `translate`, `invert`, `resume` and `select` as Prefect sees them.

One task per stage of a shard, typed parameters, a summary as their artifact. Prefect only watches. Nothing here decides
what is done (the store's markers do), so `mgi resume` can continue a run that Prefect started, and the reverse.
Prefect's results and caches are off: they would be a second, weaker truth. Parameters and results are paths, ids and
counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows.arguments import Arguments
from flows.pipeline import Summary, request_of, resume_run, select_run, translate_run
from flows.progress import Lines, Observer, shown_observer
from flows.records import noted, stage_noted, still
from flows.settings import Workers

WorkerCount = Annotated[int, Field(ge=0)] | Literal["auto"]


@task(task_run_name="{stage}-{shard}", cache_policy=NO_CACHE, persist_result=False)
def shard_stage(stage: str, shard: int, pair_ids: list[str]) -> int:
    """One stage of one shard of pairs."""
    return stage_noted(stage, shard, pair_ids)


@flow(name="translate", persist_result=False, validate_parameters=True)
def translate(
    sources: str,
    exemplars: str,
    out: str,
    profile: str = "embedded",
    pairing: str = "zip",
    limit: Annotated[int, Field(ge=1)] | None = None,
    seed: Annotated[int, Field(ge=0)] = 0,
    overrides: dict[str, Any] | None = None,
    method: str | None = None,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
    extend: bool = False,
    metrics: str | None = None,
) -> dict[str, Any]:
    """Translate a folder of sources by a folder of exemplars into the run folder `out`.

    Args:
        sources: folder of the images whose structure is kept.
        exemplars: folder of the images whose style is taken.
        out: folder of the run; one that holds this run already is continued.
        profile: name of a shipped profile, or path of a .toml file.
        pairing: zip, product, random, or path of a .csv file with columns source and exemplar.
        limit: at most this many pairs.
        seed: decides random pairings and where every optimisation starts.
        overrides: configuration keys over the profile, such as {"inversion.steps": 40}.
        method: how images are made, one of `mgi methods`; the profile's if not given.
        workers: local worker processes; 0 computes in the flow's process.
        scheduler: address of a running Dask scheduler to use instead.
        extend: add pairs that the folders give and the run lacks.
        metrics: names with commas between them, standard or none; None: as the run was, or standard.

    Returns:
        `flows.pipeline.Summary` as plain data: counts, quarantined pairs with reasons, path of the report.
    """
    asked = Arguments("translate", sources, exemplars, profile, pairing, limit, seed, overrides or {}, method, extend)
    return _run(asked, out, workers, scheduler, metrics)


@flow(name="invert", persist_result=False, validate_parameters=True)
def invert(
    images: str,
    out: str,
    profile: str = "embedded",
    method: str | None = None,
    limit: Annotated[int, Field(ge=1)] | None = None,
    seed: Annotated[int, Field(ge=0)] = 0,
    overrides: dict[str, Any] | None = None,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
    extend: bool = False,
    metrics: str | None = None,
) -> dict[str, Any]:
    """Invert a folder of pictures into the run folder `out`.

    Args:
        images: folder of the pictures.
        out: folder of the run; one that holds this run already is continued.
        profile: name of a shipped profile, or path of a .toml file.
        method: one of `mgi methods`; the profile's if not given.
        limit: at most this many pictures.
        seed: decides starts, masks and rain.
        overrides: configuration keys over profile and method, such as {"inversion.degradation": "down4"}.
        workers: local worker processes; 0 computes in the flow's process.
        scheduler: address of a running Dask scheduler to use instead.
        extend: add pictures that the folder holds and the run lacks.
        metrics: names with commas between them, standard or none; None: as the run was, or standard.
    """
    settings: dict[str, Any] = {"profile": profile, "limit": limit, "seed": seed, "method": method, "extend": extend}
    asked = Arguments("invert", images, overrides=overrides or {}, **settings)
    return _run(asked, out, workers, scheduler, metrics)


@flow(name="resume", persist_result=False, validate_parameters=True)
def resume(
    run: str,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
    retry: bool = False,
    metrics: str | None = None,
    check: bool = False,
) -> dict[str, Any]:
    """Continue a run that was interrupted.

    Args:
        run: the run's folder.
        workers: as for `translate`.
        scheduler: as for `translate`.
        retry: take quarantined pairs back and try them again.
        metrics: as for `translate`.
        check: look for damaged files first, and make them again.
    """
    return _publish(lambda: resume_run(run, workers, scheduler, observer(), still(shard_stage), retry, metrics, check))


@flow(name="select", persist_result=False, validate_parameters=True)
def select(
    run: str,
    rule: str | None = None,
    fidelity_bound: Annotated[float, Field(ge=1)] | None = None,
    critic_margin: Annotated[float, Field(ge=0)] | None = None,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
) -> dict[str, Any]:
    """Choose again among the hypotheses of a run; nothing is inverted.

    Args:
        run: the run's folder.
        rule: name of a selection rule; the run's own if not given.
        fidelity_bound: a hypothesis whose reconstruction error exceeds the best one's by more cannot be chosen; the
            run's own if not given.
        critic_margin: a hypothesis whose critic says more than this above the best one's number cannot be chosen; 0:
            the critic rules nothing out; the run's own if not given.
        workers: as for `translate`.
        scheduler: as for `translate`.
    """
    guards = (rule, fidelity_bound, critic_margin)
    return _publish(lambda: select_run(run, *guards, workers, scheduler, observer(), still(shard_stage)))


def start_flow(
    asked: Arguments, out: str, workers: Workers, scheduler: str | None, metrics: str | None
) -> dict[str, Any]:
    """Call the flow for what is asked for, which then shows it as its parameters."""
    shared: dict[str, Any] = {
        "out": out,
        "profile": asked.profile,
        "method": asked.method,
        "limit": asked.limit,
        "seed": asked.seed,
        "overrides": dict(asked.overrides),
        "workers": workers,
        "scheduler": scheduler,
        "extend": asked.extend,
        "metrics": metrics,
    }
    if asked.task == "invert":
        return invert(images=asked.sources, **shared)
    return translate(sources=asked.sources, exemplars=asked.exemplars, pairing=asked.pairing, **shared)


def _run(asked: Arguments, out: str, workers: Workers, scheduler: str | None, metrics: str | None) -> dict[str, Any]:
    where = (workers, scheduler, observer())
    return _publish(lambda: translate_run(request_of(asked), out, *where, still(shard_stage), metrics, asked.extend))


def observer() -> Observer:
    """The terminal's progress if a user runs the flow, otherwise the flow run's log."""
    return shown_observer() or Lines(get_run_logger().info)


def _publish(work: Callable[[], Summary]) -> dict[str, Any]:
    summary = noted(work)
    lines = [
        f"**{summary.done} of {summary.pairs}** pairs done, {len(summary.quarantined)} in quarantine",
        f"run: `{summary.run}`",
        f"report: `{summary.report}`",
    ]
    create_markdown_artifact("\n\n".join(lines), key="translate-summary", description="How the run stands")
    if summary.quarantined:
        rows = [{"pair": pair_id, "reason": reason} for pair_id, reason in summary.quarantined.items()]
        create_table_artifact(rows, key="translate-quarantine", description="Pairs that were left out, and why")
    return summary.as_dict()
