"""Stage `invert`: optimise hypotheses against warps (one unit per lane; a batch of lanes shares a hypothesis)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgi.pairs import Hypothesis, lane_seed
from tasks.heartbeat import Heartbeat
from tasks.preview import write_preview
from tasks.unit import INVERT as STAGE
from tasks.unit import Job, OpenRun, Outcome, lane_key, plain, reason_of
from tasks.warp import ARRAYS as WARP_ARRAYS

if TYPE_CHECKING:
    from mgi.methods import LaneResult


def array_name(name: str, hypothesis_id: str) -> str:
    """Store name of what a lane keeps, such as `latents/L05N10`."""
    return f"{name}/{hypothesis_id}"


def invert_lanes(job: Job, hypothesis_id: str, pair_ids: Sequence[str], preview: bool = False) -> list[Outcome]:
    """Invert one hypothesis for a batch of pairs and publish each lane.

    A lane that fails (its loss became NaN, say) is published as failed, so that it is neither repeated nor chosen.

    Args:
        job: the run.
        hypothesis_id: the hypothesis that all lanes share.
        pair_ids: the pairs; those already done are skipped.
        preview: also show the first lane in the run's preview picture.

    Returns:
        One outcome per lane.
    """
    run = job.open()
    done = {pair for pair in pair_ids if run.store.done(STAGE, lane_key(pair, hypothesis_id)) is not None}
    outcomes = [Outcome(STAGE, lane_key(pair, hypothesis_id), pair, skipped=True) for pair in pair_ids if pair in done]
    todo = [pair for pair in pair_ids if pair not in done]
    if not todo:
        return outcomes
    start = time.perf_counter()
    results = _invert(run, Hypothesis.parse(hypothesis_id), todo)
    seconds = (time.perf_counter() - start) / len(todo)
    outcomes += [
        _publish(run, hypothesis_id, pair, result, seconds) for pair, result in zip(todo, results, strict=True)
    ]
    if preview and results[0].failed is None:
        _preview(run, hypothesis_id, todo[0], results[0])
    return outcomes


def _invert(run: OpenRun, hypothesis: Hypothesis, pair_ids: list[str]) -> list[LaneResult]:
    from mgi.methods import Lane, LaneResult  # imports PyTorch, which only those who compute should wait for

    lanes = [
        Lane(pair, run.store.read("warp/warp", run.index(pair)), hypothesis, lane_seed(run.seed, pair, hypothesis.id))
        for pair in pair_ids
    ]
    method = run.method()  # outside of try: that networks cannot be loaded is no fault of the lanes
    beat = Heartbeat(STAGE, [lane_key(pair, hypothesis.id) for pair in pair_ids])
    try:
        return method.invert(lanes, progress=beat)
    except Exception as error:
        reason = reason_of(error)
        if len(pair_ids) == 1:
            return [LaneResult(arrays={}, measures={}, failed=reason)]
    # One bad lane must not take the others of its batch with it: each gets its own try.
    return [result for pair in pair_ids for result in _invert(run, hypothesis, [pair])]


def _publish(run: OpenRun, hypothesis_id: str, pair_id: str, result: LaneResult, seconds: float) -> Outcome:
    key, index = lane_key(pair_id, hypothesis_id), run.index(pair_id)
    names = [] if result.failed else [array_name(name, hypothesis_id) for name in result.arrays]
    for name, array in zip(names, result.arrays.values(), strict=False):
        run.store.write(name, index, array)
    payload = {"measures": plain(result.measures), "failed": result.failed, "seconds": seconds}
    run.store.publish(STAGE, key, pair_index=index, arrays=names, payload=payload)
    return Outcome(STAGE, key, pair_id, seconds, result.failed)


def publish_lost(job: Job, hypothesis_id: str, pair_ids: Sequence[str], reason: str) -> list[Outcome]:
    """Record lanes whose worker died again and again as failed lanes; called by the flow, not by a worker."""
    from mgi.methods import LaneResult

    failed = LaneResult(arrays={}, measures={}, failed=reason)
    return [_publish(job.open(), hypothesis_id, pair, failed, 0.0) for pair in pair_ids]


def _preview(run: OpenRun, hypothesis_id: str, pair_id: str, result: LaneResult) -> None:
    index = run.index(pair_id)
    picture = run.method().preview(result.arrays, Hypothesis.parse(hypothesis_id))
    write_preview(run.store, [*(run.store.read(f"warp/{name}", index) for name in WARP_ARRAYS), picture])
