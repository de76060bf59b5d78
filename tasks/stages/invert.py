"""Stage `invert`: optimise hypotheses against warps (one unit per lane; a call takes a group of hypotheses)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mgi.memory import WorkingMemory
from mgi.pairs import Hypothesis, lane_seed, observation_seed
from storage.run_store import StoreCorrupt
from storage.unit_keys import key_of
from tasks.report.preview import write_preview
from tasks.stages.base import Call, Shard, Stage
from tasks.stages.warp import ARRAYS as WARP_ARRAYS
from tasks.stages.warp import confidence_of
from tasks.unit import (
    INVERT,
    WARP,
    Job,
    OpenRun,
    Outcome,
    done_already,
    one_line,
    picture,
    plain,
    reason_of,
    searches,
)
from tasks.workers.heartbeat import Heartbeat

if TYPE_CHECKING:
    import numpy as np

    from mgi.translators import Lane, LaneResult
    from storage.run_store import RunStore


LOSS = "loss"
"""The lane array of the loss of every step."""
TRAJECTORY = "trajectory"
"""The lane array of the latents that an inversion went through, where `inversion.snapshots` asks for them."""


def lane_key(pair_id: str, hypothesis_id: str) -> str:
    """Marker key of one lane."""
    return key_of(pair_id, hypothesis_id)


def array_name(name: str, hypothesis_id: str) -> str:
    """Store name of what a lane keeps, such as `latents/L05N10`."""
    return f"{name}/{hypothesis_id}"


def name_in(store: RunStore, name: str, hypothesis_id: str) -> str:
    """`array_name` as this run has it: runs that mgi 0.1 began call the trajectory `way`."""
    found = array_name(name, hypothesis_id)
    if name == TRAJECTORY and not store.has(found):
        old = array_name("way", hypothesis_id)
        return old if store.has(old) else found
    return found


def lane_value(store: RunStore, name: str, pair_id: str, hypothesis_id: str) -> np.ndarray:
    """What a lane published as `name`. Raises KeyError, storage.run_store.StoreCorrupt."""
    return store.value(INVERT, lane_key(pair_id, hypothesis_id), name_in(store, name, hypothesis_id))


def to_render(store: RunStore, names: Iterable[str], pair_id: str, hypothesis_id: str) -> dict[str, np.ndarray]:
    """{name: value} of those arrays of a lane that its picture is rendered from; raises as `lane_value`.

    What only charts and videos show is left out: if it is damaged, the picture is none the worse.
    """
    return {name: lane_value(store, name, pair_id, hypothesis_id) for name in names if name not in (LOSS, TRAJECTORY)}


def invert_lanes(
    job: Job, hypothesis_ids: Sequence[str], pair_ids: Sequence[str], preview: bool = False
) -> list[Outcome]:
    """Invert one group of hypotheses for a batch of pairs and publish each lane.

    A lane that fails (its loss became NaN, say) is published as failed, so that it is neither repeated nor chosen.

    Args:
        job: the run.
        hypothesis_ids: hypotheses that the method inverts together. A pair that lacks one of them is computed whole,
            and lanes it already has are left as they are.
        pair_ids: the pairs; those already done are skipped.
        preview: also show the first lane in the run's preview picture.

    Returns:
        One outcome per lane; for a pair whose warp was damaged, one that says that it has no warp.
    """
    run = job.open()
    lanes = [(pair, hypothesis) for pair in pair_ids for hypothesis in hypothesis_ids]
    outcomes = done_already(run, INVERT, [lane_key(*lane) for lane in lanes])
    done = {outcome.key for outcome in outcomes}
    hypotheses = [Hypothesis.parse(id) for id in hypothesis_ids]
    todo: dict[str, list[Lane]] = {}
    for pair in dict.fromkeys(pair for pair, hypothesis in lanes if lane_key(pair, hypothesis) not in done):
        try:
            todo[pair] = _lanes(run, pair, hypotheses)
        except StoreCorrupt as error:  # no fault of the hypotheses, which may not be published as failed
            outcomes.append(Outcome(WARP, pair, pair, failed=one_line(error)))
    if not todo:
        return outcomes
    start = time.perf_counter()
    run.method()  # networks are no working memory
    with WorkingMemory() as memory:
        results = _invert(run, todo)
    seconds = time.perf_counter() - start
    # A call's time is shared among its lanes by the steps they took, or equally if nobody counted steps.
    steps = {lane: result.measures.get("steps", 0.0) for lane, result in results.items()}
    total = sum(steps.values())
    for lane, result in results.items():
        if lane_key(*lane) not in done:
            share = seconds * (steps[lane] / total if total else 1 / len(results))
            outcomes.append(_publish(run, lane[1], lane[0], result, share, memory.mib))
    first = next((lane for lane, result in results.items() if result.failed is None), None)
    if preview and first is not None:
        _preview(run, first[1], first[0], results[first])
    return outcomes


def _invert(run: OpenRun, todo: dict[str, list[Lane]]) -> dict[tuple[str, str], LaneResult]:
    """{(pair, hypothesis id): result} of {pair: its lanes}."""
    from mgi.translators import LaneResult  # imports PyTorch; only processes that compute should wait for it

    lanes = [lane for found in todo.values() for lane in found]
    names = [(lane.pair_id, lane.hypothesis.id) for lane in lanes]
    method = run.method()  # outside of try: networks that cannot be loaded are not the lanes' fault
    beat = Heartbeat(INVERT, [lane_key(*name) for name in names])
    try:
        return dict(zip(names, method.invert(lanes, progress=beat), strict=True))
    except Exception as error:
        reason = reason_of(error)
        if len(todo) == 1:
            return {name: LaneResult(arrays={}, measures={}, failed=reason) for name in names}
    # One bad pair must not take the others of its batch with it: each gets its own try.
    return {name: result for pair, found in todo.items() for name, result in _invert(run, {pair: found}).items()}


def _lanes(run: OpenRun, pair: str, hypotheses: list[Hypothesis]) -> list[Lane]:
    """All lanes of a pair; they share its arrays."""
    from mgi.translators import Lane

    seen = picture(run.store, pair, "warp")
    truth = picture(run.store, pair, "source") if run.config.degrades else None
    confidence = confidence_of(run, pair)
    pictures = None
    if run.config.task == "translate" and run.config.inversion.pair_start != "none":
        pictures = picture(run.store, pair, "source"), picture(run.store, pair, "exemplar")
    drawn = observation_seed(run.seed, pair)
    return [
        Lane(pair, seen, hypothesis, lane_seed(run.seed, pair, hypothesis.id), truth, drawn, confidence, pictures)
        for hypothesis in hypotheses
    ]


def _publish(
    run: OpenRun, hypothesis_id: str, pair_id: str, result: LaneResult, seconds: float, working_mib: float | None = None
) -> Outcome:
    key, index = lane_key(pair_id, hypothesis_id), run.index(pair_id)
    names = [] if result.failed else [name_in(run.store, name, hypothesis_id) for name in result.arrays]
    for name, array in zip(names, result.arrays.values(), strict=False):
        run.store.write(name, index, array)
    cost = {"seconds": seconds, "working_mib": working_mib}
    payload = {"measures": plain(result.measures), "failed": result.failed, **cost}
    run.store.publish(INVERT, key, pair_index=index, arrays=names, payload=payload)
    return Outcome(INVERT, key, pair_id, seconds, result.failed)


def publish_lost(job: Job, call: Call, reason: str) -> list[Outcome]:
    """Record lanes whose worker died again and again as failed lanes; called by the flow, not by a worker."""
    from mgi.translators import LaneResult

    run, failed = job.open(), LaneResult(arrays={}, measures={}, failed=reason)
    hypothesis_ids, pair_ids, *_ = call
    lanes = [(pair, hypothesis) for pair in pair_ids for hypothesis in hypothesis_ids]
    outcomes = done_already(run, INVERT, [lane_key(*lane) for lane in lanes])
    done = {outcome.key for outcome in outcomes}
    todo = [lane for lane in lanes if lane_key(*lane) not in done]
    return outcomes + [_publish(run, hypothesis, pair, failed, 0.0) for pair, hypothesis in todo]


def _preview(run: OpenRun, hypothesis_id: str, pair_id: str, result: LaneResult) -> None:
    shown = run.method().preview(result.arrays, Hypothesis.parse(hypothesis_id))
    write_preview(run.store, [*(picture(run.store, pair_id, name) for name in WARP_ARRAYS), shown])


def _parts(run: OpenRun) -> list[str]:
    return run.hypotheses


def _calls(shard: Shard) -> list[Call]:
    """Groups of hypotheses x batches of pairs, as the method wants them on the available devices."""
    layout, pairs = shard.layout(), list(shard.left)
    calls: list[Call] = []
    for start in range(0, len(pairs), layout.lanes):
        for group in layout.groups:
            batch = pairs[start : start + layout.lanes]
            todo = [pair for pair in batch if any(lane_key(pair, id) in shard.left[pair] for id in group)]
            alone = [pair for pair in todo if STAGE.begun((group, [pair]))[0] in shard.died]
            for some in [[pair for pair in todo if pair not in alone], *([pair] for pair in alone)]:
                if some:
                    calls.append((group, some, shard.untouched and not calls))
    return calls


def _pairs_of(call: Call) -> list[str]:
    return list(call[1])


def _parts_of(call: Call) -> list[str]:
    return list(call[0])


STAGE = Stage(
    name=INVERT,
    unit="hypotheses",
    compute=invert_lanes,
    after=(WARP,),
    used_by=searches,
    parts=_parts,
    calls=_calls,
    pairs_of=_pairs_of,
    parts_of=_parts_of,
    publish_lost=publish_lost,
)
