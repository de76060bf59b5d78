"""The stages of a run, shard by shard, in the order of their table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from flows.remote import publish
from flows.session import Session, current_session
from mgi.config import RunConfig
from tasks.report.preview import preview_path
from tasks.stages.base import Stage

SHARD = 64
"""Least pairs per shard: one Prefect task is one stage of one shard, and costs milliseconds however large it is."""
PER_WORKER = 16
"""Pairs of a shard for each of several workers, which wait for the last one at the end of every stage of a shard. With
64 workers and 64 pairs, a quarter of their time would be lost (docs/clusters.md)."""

StageCall = Callable[[str, int, list[str]], int]
"""Runs one stage of one shard: (stage, number of the shard, pair ids) -> units computed."""


def run_stages(session: Session, call: StageCall) -> None:
    """Do what is left of the session's run.

    All stages of a shard come before the next shard, so that results appear early; only a stage that chooses for the
    whole set, and what comes after it, waits until all shards have got that far.
    """
    session.take_back_choices()
    _announce(session)
    publish(if_due=False)  # the plan
    ids = session.run.pair_ids()
    for together in _between_waits(session.ledger.stages, session.run.config):
        for number, shard in enumerate(_shards(session, ids)):
            for stage in together:
                if session.ready(stage, shard):
                    _call(session, call, stage, number, shard)
            session.pack(shard)


def stage_of_shard(stage: str, shard: int, pair_ids: list[str]) -> int:
    """Run one stage of one shard in the current session; `shard` only names it. Returns the units computed."""
    session = current_session()
    row, computed = session.ledger.stage(stage), 0
    for outcome in session.work(row, pair_ids):
        computed += not outcome.skipped
        if outcome.failed and (row.quarantines or outcome.stage != stage):  # what it is built on may be damaged
            session.quarantine(outcome, stage)
        session.observer.finish(stage, outcome.key, outcome.failed)
        publish()
    return computed


def _shards(session: Session, ids: list[str]) -> Iterator[list[str]]:
    """The pairs in pieces; the workers are known, and counted, once the first piece had something left to do."""
    start = 0
    while start < len(ids):
        wanted = PER_WORKER * session.slots if session.slots > 1 else SHARD
        size = SHARD * max(1, -(-wanted // SHARD))  # whole blocks of the store
        yield ids[start : start + size]
        start += size


def _between_waits(stages: Sequence[Stage], config: RunConfig) -> list[list[Stage]]:
    """The stages in order, cut before each one that waits for the whole set."""
    parts: list[list[Stage]] = [[]]
    for stage in stages:
        if stage.whole_set(config) is not None:
            parts.append([])
        parts[-1].append(stage)
    return parts


def _call(session: Session, call: StageCall, stage: Stage, number: int, shard: list[str]) -> None:
    preview = preview_path(session.run.store)
    seen = preview.exists()
    call(stage.name, number, shard)
    if not seen and preview.exists():
        session.observer.say(f"first preview: {preview}")


def _announce(session: Session) -> None:
    alive = session.alive(session.run.pair_ids())
    for stage in session.ledger.stages:
        session.observer.begin(stage.name, stage.unit, *session.ledger.count(stage, alive))
