"""A run's markers as plain rows: the outcome of every pair and every lane. The store is the only source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mgi.config import RunConfig
from mgi.pairs import Hypothesis
from storage.run_store import Quarantined, RunStore
from tasks.stages.invert import lane_key
from tasks.stages.select import RESULT
from tasks.stages.table import last_required, stages_of
from tasks.unit import EVALUATE, INVERT, SCORE, SELECT, TRANSLATE, WARP, OpenRun, payload_rows

BLOCK = 64
"""Pairs whose rows are held at a time."""

Payloads = Mapping[str, dict[str, dict[str, Any]]]
"""{stage: {key: payload}} of one pair."""


@dataclass(frozen=True)
class Block:
    """Some consecutive pairs of a run: their rows of the tables, and their seconds of work per stage (all workers)."""

    pairs: list[dict[str, Any]] = field(default_factory=list)
    lanes: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    unwarped: set[str] = field(default_factory=set)
    """Pairs whose method made no warp."""
    stage_seconds: dict[str, float] = field(default_factory=dict)


def read_blocks(store: RunStore, config: RunConfig) -> Iterator[Block]:
    """Read every marker of a run once, `BLOCK` pairs at a time and of these one stage after the other.

    Pairs keep the plan's order and lanes the configuration's. A lane without a marker has no row: it was not computed.

    Raises:
        storage.run_store.StoreCorrupt: a marker is damaged.
    """
    run, stages = OpenRun(store), stages_of(config)
    quarantined, result = store.quarantined(), last_required(stages).name
    hypotheses, plan = config.hypotheses(), store.pairs[["index", "id", "source", "exemplar"]]
    for start in range(0, len(plan), BLOCK):
        pairs: list[dict[str, Any]] = [
            {"index": int(index), "pair_id": str(pair_id), "source": str(source), "exemplar": str(exemplar)}
            for index, pair_id, source, exemplar in plan.iloc[start : start + BLOCK].itertuples(index=False)
        ]
        ids = [pair["pair_id"] for pair in pairs]
        read = {s.name: {id: payload_rows(store, s.name, s.keys(run, id)) for id in ids} for s in stages}
        block = Block(stage_seconds=dict.fromkeys(read, 0.0))
        for pair in pairs:
            pair_id = pair["pair_id"]
            payloads = {stage: found[pair_id] for stage, found in read.items()}
            for stage, found in payloads.items():
                block.stage_seconds[stage] += sum(map(_seconds, found.values()))
            metrics = _metric_rows(pair_id, config.method, payloads)
            block.lanes.extend(_lane_rows(pair_id, hypotheses, payloads))
            block.metrics.extend(metrics)
            if not _of_pair(payloads, TRANSLATE, pair_id).get("warped", True):
                block.unwarped.add(pair_id)
            numbers = {row["metric"]: row["value"] for row in metrics}
            outcome = _outcome(pair_id, payloads, result, quarantined)
            block.pairs.append(pair | {"method": config.method} | outcome | numbers)
        yield block


def _lane_rows(pair_id: str, hypotheses: tuple[Hypothesis, ...], payloads: Payloads) -> Iterator[dict[str, Any]]:
    scores = _of_pair(payloads, SCORE, pair_id).get("scores", {})
    choice = _of_pair(payloads, SELECT, pair_id)
    lanes = payloads.get(INVERT, {})
    for hypothesis in hypotheses:
        payload = lanes.get(lane_key(pair_id, hypothesis.id))
        if payload is None:
            continue
        measures = {"seconds": _seconds(payload), **payload.get("measures", {}), **scores.get(hypothesis.id, {})}
        yield {
            "pair_id": pair_id,
            "hypothesis": hypothesis.id,
            "composing_layer": hypothesis.composing_layer,
            "num_codes": hypothesis.num_codes,
            "selected": choice.get("hypothesis") == hypothesis.id,
            "guarded": hypothesis.id in choice.get("guarded", ()),
            "halved": measures.get("finished") == 0,
            "failed": payload.get("failed"),
            **measures,
        }


def _metric_rows(pair_id: str, method: str, payloads: Payloads) -> list[dict[str, Any]]:
    """Rows of the table of metrics; a metric that does not apply to the pair has none."""
    rows = []
    for key, payload in payloads.get(EVALUATE, {}).items():
        if payload.get("value") is None and not payload.get("failed"):
            continue
        kept = {name: value for name, value in payload.items() if name != "networks"}
        digest = key.rpartition("@")[2]
        rows.append({"pair_id": pair_id, "method": method, "digest": digest, "value": None, **kept})
    return rows


def _outcome(pair_id: str, payloads: Payloads, result: str, quarantined: dict[str, Quarantined]) -> dict[str, Any]:
    """The outcome of a pair; `result` is the stage that completes it."""
    seconds = sum(_seconds(payload) for found in payloads.values() for payload in found.values())
    first = _of_pair(payloads, WARP, pair_id) or _of_pair(payloads, TRANSLATE, pair_id)
    info = {key: value for key, value in first.get("info", {}).items() if key != "seconds"}
    needed = [payload.get("working_mib") for found in payloads.values() for payload in found.values()]
    working = max((mib for mib in needed if mib is not None), default=None)
    shared = {"seconds": seconds, "working_mib": working, "notes": "; ".join(first.get("notes", ())) or None, **info}
    shared |= {key: value for key, value in first.get("measures", {}).items() if key != "seconds"}
    if choice := _of_pair(payloads, result, pair_id):
        chosen = {key: choice.get(key) for key in ("hypothesis", "rule", "value")}
        return {"state": "done", "result": RESULT.format(pair_id), **chosen, **shared}
    if pair_id in quarantined:
        stage, reason = quarantined[pair_id]
        return {"state": "quarantined", "stage": stage, "reason": reason, **shared}
    return {"state": "pending", **shared}


def _of_pair(payloads: Payloads, stage: str, pair_id: str) -> dict[str, Any]:
    """The payload of a stage's only unit of a pair; empty if it is not done or the run has no such stage."""
    return payloads.get(stage, {}).get(pair_id, {})


def _seconds(payload: dict[str, Any]) -> float:
    """A unit's seconds: as measured by its method if it did that, else by its worker."""
    return float(payload.get("measures", {}).get("seconds", payload.get("seconds")) or 0.0)
