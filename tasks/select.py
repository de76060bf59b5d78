"""Stage `select`: choose a pair's hypothesis and render the final image, once (one unit per pair)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mgi.pairs import Hypothesis
from storage.images import write_png
from tasks.invert import array_name
from tasks.score import lane_payloads
from tasks.unit import SCORE, Job, OpenRun, Outcome, plain, reason_of
from tasks.unit import SELECT as STAGE

if TYPE_CHECKING:
    from mgi.methods import Method

SET_RULE = "set-fid"
"""The rule that needs every pair's scores before it can choose for any."""


def final_path(run: str | Path, pair_id: str) -> Path:
    """Where a pair's result is."""
    return Path(run) / "final" / f"{pair_id}.png"


def select_pair(job: Job, pair_id: str, winner: dict[str, Any] | None = None) -> list[Outcome]:
    """Choose one pair's hypothesis, render it to `final/<pair id>.png` and publish the choice.

    Args:
        job: the run.
        pair_id: the pair.
        winner: the choice for the whole set, where the rule makes one; else the method chooses for this pair.
    """
    run, start = job.open(), time.perf_counter()
    path = final_path(job.run, pair_id)
    if run.store.done(STAGE, pair_id) is not None:
        return [Outcome(STAGE, pair_id, pair_id, skipped=True)]
    method = run.method()
    try:
        rows = lane_rows(run, pair_id)
        choice = method.select(rows) if winner is None else _set_choice(winner, rows)
        image = _render(run, method, pair_id, choice["hypothesis"])
    except Exception as error:
        return [Outcome(STAGE, pair_id, pair_id, time.perf_counter() - start, reason_of(error))]
    # What the picture is of, for whoever meets it without its run. Nothing that changes from one run to the next.
    facts = {"mgi:pair": pair_id, "mgi:hypothesis": choice["hypothesis"], "mgi:config": job.digest}
    write_png(path, image, facts)
    seconds = time.perf_counter() - start
    payload = {**plain(choice), "seconds": seconds}
    run.store.publish(STAGE, pair_id, pair_index=run.index(pair_id), payload=payload, files=[f"final/{path.name}"])
    return [Outcome(STAGE, pair_id, pair_id, seconds)]


def select_set(job: Job, pair_ids: list[str]) -> dict[str, Any]:
    """The one choice for all of `pair_ids`, for the rule that compares whole sets of results."""
    run = job.open()
    return dict(run.method().select_set([lane_rows(run, pair_id) for pair_id in pair_ids]))


def lane_rows(run: OpenRun, pair_id: str) -> list[dict[str, Any]]:
    """One row per scored hypothesis of a pair: `hypothesis`, its measures, its distance under each rule."""
    score = run.store.done(SCORE, pair_id)
    if score is None:
        return []
    measures = {id: payload["measures"] for id, payload in lane_payloads(run, pair_id).items()}
    return [{"hypothesis": id, **measures[id], **scores} for id, scores in score["scores"].items()]


def _set_choice(winner: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    if any(row["hypothesis"] == winner["hypothesis"] for row in rows):
        return {"guarded": [], **winner}
    raise ValueError(f"the set's hypothesis {winner['hypothesis']} failed for this pair")


def _render(run: OpenRun, method: Method, pair_id: str, hypothesis_id: str) -> np.ndarray:
    hypothesis, index = Hypothesis.parse(hypothesis_id), run.index(pair_id)
    names = method.lane_arrays(hypothesis)
    arrays = {name: run.store.read(array_name(name, hypothesis_id), index) for name in names}
    return method.render(arrays, hypothesis)
