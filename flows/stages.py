"""The stages of a run over one shard of pairs: which units are left, where they run, what becomes of failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flows.session import Session
from tasks.preview import preview_path
from tasks.stages import invert, score, select, warp
from tasks.unit import Outcome, lane_key

Choices = dict[str, dict[str, Any]]
"""{pair id: choice}, by the rule that compares whole sets."""
ShardStage = Callable[[Session, Sequence[str]], int]


def warp_shard(session: Session, pair_ids: Sequence[str]) -> int:
    """Warp the shard's pairs. Returns how many units were computed, as all of these do."""
    first = not preview_path(session.run.store).exists()
    todo = _left(session, warp.STAGE, pair_ids)
    calls = [(pair_id, first and number == 0) for number, pair_id in enumerate(todo)]
    return _pairs(session, warp.STAGE, warp.warp_pair, calls)


def invert_shard(session: Session, pair_ids: Sequence[str]) -> int:
    """Invert every hypothesis of the shard's warped pairs, a group of hypotheses and a batch of pairs per call."""
    store, computed = session.run.store, 0
    done, warped = store.keys_done(invert.STAGE), store.keys_done(warp.STAGE)
    ready = [pair_id for pair_id in session.alive(pair_ids) if pair_id in warped]
    hypotheses = [hypothesis.id for hypothesis in session.run.config.inversion.all_hypotheses()]
    calls: list[tuple[list[str], list[str], bool]] = []
    missing = [pair_id for pair_id in ready if any(lane_key(pair_id, id) not in done for id in hypotheses)]
    size, groups = session.schedule() if missing else (1, [])
    for start in range(0, len(missing), size):
        batch = missing[start : start + size]
        for group in groups:
            todo = [pair_id for pair_id in batch if any(lane_key(pair_id, id) not in done for id in group)]
            if todo:
                calls.append((group, todo, not calls and not done))

    def lost(call: tuple[Any, ...], reason: str) -> list[Outcome]:
        return invert.publish_lost(session.job, call[0], call[1], reason)

    for outcome in session.work(invert.invert_lanes, calls, lost):
        computed += not outcome.skipped
        session.observer.finish(invert.STAGE, outcome.key, outcome.failed)
    return computed


def score_shard(session: Session, pair_ids: Sequence[str]) -> int:
    """Score the shard's pairs; one none of whose hypotheses succeeded goes to quarantine."""
    calls = [(pair_id,) for pair_id in _left(session, score.STAGE, pair_ids)]
    return _pairs(session, score.STAGE, score.score_pair, calls)


def select_shard(session: Session, pair_ids: Sequence[str], choices: Choices | None = None) -> int:
    """Choose and render the shard's results; `choices` are given where the rule makes them for the whole set."""
    calls = [(pair_id, choices and choices[pair_id]) for pair_id in _left(session, select.STAGE, pair_ids)]
    return _pairs(session, select.STAGE, select.select_pair, calls)


def _left(session: Session, stage: str, pair_ids: Sequence[str]) -> list[str]:
    done = session.run.store.keys_done(stage)
    if stage == select.STAGE:  # a result that somebody moved away is rendered again from its latents
        done = {pair_id for pair_id in done if select.final_path(session.job.run, pair_id).exists()}
    return [pair_id for pair_id in session.alive(pair_ids) if pair_id not in done]


def _pairs(session: Session, stage: str, unit: Any, calls: Sequence[tuple[Any, ...]]) -> int:
    def lost(call: tuple[Any, ...], reason: str) -> list[Outcome]:
        return [Outcome(stage, call[0], call[0], failed=reason)]

    computed = 0
    for outcome in session.work(unit, calls, lost):
        computed += not outcome.skipped
        if outcome.failed:
            session.quarantine(outcome)
        session.observer.finish(stage, outcome.key, outcome.failed)
    return computed
