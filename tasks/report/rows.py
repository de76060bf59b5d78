"""A run's markers as plain rows: what every pair and every lane came to. The store is the only source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mgi.config import RunConfig
from mgi.pairs import Hypothesis
from storage.run_store import Quarantined, RunStore
from tasks.stages.invert import lane_key
from tasks.stages.table import last_required, stages_of
from tasks.unit import EVALUATE, INVERT, SCORE, SELECT, TRANSLATE, WARP, OpenRun, payload_rows

Payloads = dict[str, dict[str, dict[str, Any]]]
"""{stage: {key: payload}} of one pair."""


@dataclass(frozen=True)
class RunRows:
    """Rows of the tables of pairs, hypotheses and metrics, and the seconds of work per stage (all workers added)."""

    pairs: list[dict[str, Any]] = field(default_factory=list)
    lanes: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    unwarped: set[str] = field(default_factory=set)
    """Pairs whose method made no warp."""
    stage_seconds: dict[str, float] = field(default_factory=dict)

    def by_state(self, state: str) -> list[dict[str, Any]]:
        """Pairs that are done, quarantined or pending."""
        return [pair for pair in self.pairs if pair["state"] == state]


def read_rows(store: RunStore, config: RunConfig) -> RunRows:
    """Read every marker of a run once.

    Pairs keep the plan's order and lanes the configuration's. A lane without a marker has no row: it was not computed.
    """
    run, stages = OpenRun(store), stages_of(config)
    rows = RunRows(stage_seconds={stage.name: 0.0 for stage in stages})
    quarantined, result = store.quarantined(), last_required(stages).name
    hypotheses = config.hypotheses()
    for record in store.pairs[["index", "id", "source", "exemplar"]].to_dict("records"):
        pair: dict[str, Any] = {
            "index": int(record["index"]),
            "pair_id": (pair_id := str(record["id"])),
            "source": str(record["source"]),
            "exemplar": str(record["exemplar"]),
        }
        payloads = {stage.name: payload_rows(store, stage.name, stage.keys(run, pair_id)) for stage in stages}
        for stage, found in payloads.items():
            rows.stage_seconds[stage] += sum(map(_seconds, found.values()))
        lanes = list(_lane_rows(pair_id, hypotheses, payloads))
        metrics = _metric_rows(pair_id, config.method, payloads)
        rows.lanes.extend(lanes)
        rows.metrics.extend(metrics)
        if not _of_pair(payloads, TRANSLATE, pair_id).get("warped", True):
            rows.unwarped.add(pair_id)
        numbers = {row["metric"]: row["value"] for row in metrics}
        outcome = _outcome(pair_id, payloads, result, quarantined)
        rows.pairs.append(pair | {"method": config.method} | outcome | numbers)
    return rows


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
    """What a pair came to; `result` is the stage that completes it."""
    seconds = sum(_seconds(payload) for found in payloads.values() for payload in found.values())
    first = _of_pair(payloads, WARP, pair_id) or _of_pair(payloads, TRANSLATE, pair_id)
    info = {key: value for key, value in first.get("info", {}).items() if key != "seconds"}
    shared = {"seconds": seconds, "notes": "; ".join(first.get("notes", ())) or None, **info}
    shared |= {key: value for key, value in first.get("measures", {}).items() if key != "seconds"}
    if choice := _of_pair(payloads, result, pair_id):
        chosen = {key: choice.get(key) for key in ("hypothesis", "rule", "value")}
        return {"state": "done", **chosen, **shared}
    if pair_id in quarantined:
        stage, reason = quarantined[pair_id]
        return {"state": "quarantined", "stage": stage, "reason": reason, **shared}
    return {"state": "pending", **shared}


def _of_pair(payloads: Payloads, stage: str, pair_id: str) -> dict[str, Any]:
    """The payload of a stage's only unit of a pair; empty where it is not done or the run has no such stage."""
    return payloads.get(stage, {}).get(pair_id, {})


def _seconds(payload: dict[str, Any]) -> float:
    """A unit's seconds: as its method measured them where it did, else as its worker did."""
    return float(payload.get("measures", {}).get("seconds", payload.get("seconds")) or 0.0)
