"""Stage `score`: the distance of every hypothesis of a pair under every rule (one unit per pair)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mgi.pairs import Hypothesis
from storage.run_store import StoreCorrupt
from tasks.stages.base import Stage
from tasks.stages.invert import lane_key, lane_value
from tasks.unit import (
    INVERT,
    SCORE,
    Job,
    OpenRun,
    Outcome,
    done_already,
    one_line,
    payload_rows,
    picture,
    plain,
    reason_of,
    searches,
)

if TYPE_CHECKING:
    from mgi.translators import Searches

FEATURES = "features"
"""Name of the lane array that scoring needs; the others (latents) are only needed to render."""


def score_pair(job: Job, pair_id: str) -> list[Outcome]:
    """Score one pair's hypotheses and publish the distances.

    Returns:
        One outcome; failed when no hypothesis of the pair succeeded.
    """
    run, start = job.open(), time.perf_counter()
    if done := done_already(run, SCORE, [pair_id]):
        return done
    try:
        lanes = lane_payloads(run, pair_id)
    except StoreCorrupt as error:
        return [Outcome(INVERT, pair_id, pair_id, time.perf_counter() - start, one_line(error))]
    alive = {hypothesis: payload for hypothesis, payload in lanes.items() if not payload["failed"]}
    if not alive:
        reasons = sorted({f"{hypothesis}: {payload['failed']}" for hypothesis, payload in lanes.items()})
        failed = f"every hypothesis failed ({'; '.join(reasons) or 'none was computed'})"
        return [Outcome(INVERT, pair_id, pair_id, time.perf_counter() - start, failed)]
    method = run.method()
    try:
        scores = _score(run, method, pair_id, alive)
    except Exception as error:
        return [Outcome(SCORE, pair_id, pair_id, time.perf_counter() - start, reason_of(error))]
    seconds = time.perf_counter() - start
    payload = {"scores": dict(zip(alive, scores, strict=True)), "seconds": seconds}
    run.store.publish(SCORE, pair_id, pair_index=run.index(pair_id), arrays=[], payload=payload)
    return [Outcome(SCORE, pair_id, pair_id, seconds)]


def _score(run: OpenRun, method: Searches, pair_id: str, alive: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    from mgi.translators import ScoreInput  # imports PyTorch; only processes that compute should wait for it

    warp, exemplar = (picture(run.store, pair_id, name) for name in ("warp", "exemplar"))
    reference = method.reference_features(warp, exemplar)
    inputs = [
        ScoreInput(
            hypothesis=Hypothesis.parse(hypothesis),
            features=lane_value(run.store, FEATURES, pair_id, hypothesis),
            measures=payload["measures"],
            reference=reference,
        )
        for hypothesis, payload in alive.items()
    ]
    return [plain(distances) for distances in method.score(inputs)]


def lane_payloads(run: OpenRun, pair_id: str) -> dict[str, dict[str, Any]]:
    """{hypothesis id: marker payload} of the pair's inverted lanes, failed ones included, in the configured order."""
    keys = {id: lane_key(pair_id, id) for id in run.hypotheses}
    rows = payload_rows(run.store, INVERT, keys.values())
    return {id: rows[key] for id, key in keys.items() if key in rows}


STAGE = Stage(name=SCORE, unit="pairs", compute=score_pair, after=(INVERT,), used_by=searches)
