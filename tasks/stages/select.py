"""Stage `select`: choose a pair's hypothesis and render the final image, once (one unit per pair)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mgi.config import RunConfig
from mgi.pairs import Hypothesis
from storage.run_store import StoreCorrupt
from tasks.stages.base import Call, Choice, Choices, Shard, Stage, WholeSet
from tasks.stages.invert import lane_value, to_render
from tasks.stages.score import FEATURES, lane_payloads
from tasks.unit import SCORE, SELECT, Job, OpenRun, Outcome, done_already, one_line, picture, plain, reason_of, searches

if TYPE_CHECKING:
    from mgi.translators import Searches

Rows = list[dict[str, Any]]
SET_RULE = "set-fid"
"""The rule that needs every pair's scores before it can choose for any."""
RESULT = "final/{}.png"
"""A pair's result in the run's folder."""


def final_path(run: str | Path, pair_id: str) -> Path:
    """Where a pair's result is."""
    return Path(run) / RESULT.format(pair_id)


def select_pair(job: Job, pair_id: str, choice: Choice | None = None) -> list[Outcome]:
    """Choose one pair's hypothesis, render it to `final/<pair id>.png` and publish the choice.

    Args:
        job: the run.
        pair_id: the pair.
        choice: made by `select_set` if the rule compares whole sets; else the method chooses for this pair alone.
    """
    from storage.images import write_png  # imports Pillow; only processes that compute should wait for it

    run, start = job.open(), time.perf_counter()
    if done := done_already(run, SELECT, [pair_id]):
        return done
    if choice and "failed" in choice:
        return [Outcome(SELECT, pair_id, pair_id, failed=choice["failed"])]
    method = run.method()
    try:
        choice = choice or cast("Choice", method.select(lane_rows(run, pair_id)))
        image = render_hypothesis(run, method, pair_id, choice["hypothesis"])
    except Exception as error:
        return [Outcome(SELECT, pair_id, pair_id, time.perf_counter() - start, reason_of(error))]
    # What the picture shows, for people who see it without its run. Nothing that changes from one run to the next.
    facts = {"mgi:pair": pair_id, "mgi:hypothesis": choice["hypothesis"], "mgi:config": job.digest}
    write_png(final_path(job.run, pair_id), image, facts)
    seconds = time.perf_counter() - start
    payload = {**plain(choice), "seconds": seconds}
    files = [RESULT.format(pair_id)]
    run.store.publish(SELECT, pair_id, pair_index=run.index(pair_id), payload=payload, files=files)
    return [Outcome(SELECT, pair_id, pair_id, seconds)]


def select_set(job: Job, pair_ids: list[str]) -> Choices:
    """{pair id: choice} for the rule that ranks hypotheses by all results of the set together.

    The choices depend on the whole set: they are only made once every pair is scored, and come out the same every time.
    A pair whose scores or features are damaged has no part in them; its own choice says which file it is (`failed`).
    """
    run, damaged = job.open(), dict[str, Choice]()
    tables = _readable(pair_ids, lambda pair_id: lane_rows(run, pair_id), damaged)
    try:
        choices = _choose(run, tables)
    except StoreCorrupt:  # only now is every pair looked at, so that a whole set is read once
        tables = _readable(tables, lambda pair_id: _with_features(run, pair_id, tables[pair_id]), damaged)
        choices = _choose(run, tables)
    return {**choices, **damaged}


def _choose(run: OpenRun, tables: Mapping[str, Rows]) -> dict[str, Choice]:
    pair_ids = list(tables)
    if not pair_ids:
        return {}

    def features(table: int, hypothesis: str) -> np.ndarray:
        return lane_value(run.store, FEATURES, pair_ids[table], hypothesis)

    choices = cast("list[Choice]", run.method().select_set(list(tables.values()), features))
    return dict(zip(pair_ids, choices, strict=True))


def _readable(pair_ids: Iterable[str], read: Callable[[str], Rows], damaged: dict[str, Choice]) -> dict[str, Rows]:
    """{pair id: rows} of the pairs that can be read; the others go to `damaged`."""
    found: dict[str, Rows] = {}
    for pair_id in pair_ids:
        try:
            found[pair_id] = read(pair_id)
        except StoreCorrupt as error:
            damaged[pair_id] = {"failed": one_line(error)}
    return found


def _with_features(run: OpenRun, pair_id: str, rows: Rows) -> Rows:
    for row in rows:
        lane_value(run.store, FEATURES, pair_id, row["hypothesis"])
    return rows


def lane_rows(run: OpenRun, pair_id: str) -> Rows:
    """One row per scored hypothesis of a pair: `hypothesis`, its measures, its distance under each rule."""
    score = run.store.payload(SCORE, pair_id)
    if score is None:
        return []
    measures = {id: payload["measures"] for id, payload in lane_payloads(run, pair_id).items()}
    return [{"hypothesis": id, **measures[id], **scores} for id, scores in score["scores"].items()]


def render_hypothesis(run: OpenRun, method: Searches, pair_id: str, hypothesis_id: str) -> np.ndarray:
    """A hypothesis of a pair as the final image, uint8 [R, R, 3]."""
    hypothesis = Hypothesis.parse(hypothesis_id)
    arrays = to_render(run.store, method.lane_arrays(hypothesis), pair_id, hypothesis_id)
    if run.config.inversion.merge == "none":
        return method.render(arrays, hypothesis)
    return method.render(arrays, hypothesis, seen=picture(run.store, pair_id, "warp"))


def _calls(shard: Shard) -> list[Call]:
    """One per pair, with the choice if the whole set made it."""
    return [(pair_id, shard.choices.get(pair_id)) for pair_id in shard.left]


def _whole_set(config: RunConfig) -> WholeSet | None:
    return select_set if config.selection.rule == SET_RULE else None


STAGE = Stage(
    name=SELECT,
    unit="pairs",
    compute=select_pair,
    after=(SCORE,),
    used_by=searches,
    calls=_calls,
    result=RESULT,  # a result that somebody moved away is rendered again from its latents
    whole_set=_whole_set,
)
