"""A run's markers as plain rows: what every pair and every lane came to. The store is the only source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mgi.config import RunConfig
from mgi.pairs import Hypothesis
from storage.run_store import Quarantined, RunStore
from tasks.stages.invert import STAGE as INVERT
from tasks.stages.score import STAGE as SCORE
from tasks.stages.select import STAGE as SELECT
from tasks.stages.warp import STAGE as WARP
from tasks.unit import lane_key

STAGES = (WARP, INVERT, SCORE, SELECT)


@dataclass(frozen=True)
class RunRows:
    """Rows of the pairs table and of the hypotheses table, and the seconds of work per stage (all workers added)."""

    pairs: list[dict[str, Any]] = field(default_factory=list)
    lanes: list[dict[str, Any]] = field(default_factory=list)
    stage_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    def by_state(self, state: str) -> list[dict[str, Any]]:
        """Pairs that are done, quarantined or pending."""
        return [pair for pair in self.pairs if pair["state"] == state]


def read_rows(store: RunStore, config: RunConfig) -> RunRows:
    """Read every marker of a run once.

    Pairs keep the plan's order and lanes the configuration's. A lane without a marker has no row: it was not computed.
    """
    rows = RunRows()
    quarantined = store.quarantined()
    hypotheses = config.inversion.all_hypotheses()
    for record in store.pairs[["index", "id", "source", "exemplar"]].to_dict("records"):
        pair: dict[str, Any] = {
            "index": int(record["index"]),
            "pair_id": str(record["id"]),
            "source": str(record["source"]),
            "exemplar": str(record["exemplar"]),
        }
        payloads = {stage: store.done(stage, pair["pair_id"]) for stage in (WARP, SCORE, SELECT)}
        lanes = list(_lane_rows(store, pair, hypotheses, payloads))
        for stage, payload in payloads.items():
            rows.stage_seconds[stage] += _seconds(payload)
        rows.stage_seconds[INVERT] += sum(lane["seconds"] for lane in lanes)
        rows.lanes.extend(lanes)
        rows.pairs.append(pair | _outcome(pair["pair_id"], payloads, lanes, quarantined))
    return rows


def _lane_rows(
    store: RunStore, pair: dict[str, Any], hypotheses: tuple[Hypothesis, ...], payloads: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    scores = (payloads[SCORE] or {}).get("scores", {})
    choice = payloads[SELECT] or {}
    for hypothesis in hypotheses:
        payload = store.done(INVERT, lane_key(pair["pair_id"], hypothesis.id))
        if payload is None:
            continue
        measures = {"seconds": _seconds(payload), **payload.get("measures", {}), **scores.get(hypothesis.id, {})}
        yield {
            "pair_id": pair["pair_id"],
            "hypothesis": hypothesis.id,
            "composing_layer": hypothesis.composing_layer,
            "num_codes": hypothesis.num_codes,
            "selected": choice.get("hypothesis") == hypothesis.id,
            "guarded": hypothesis.id in choice.get("guarded", ()),
            "halved": measures.get("finished") == 0,
            "failed": payload.get("failed"),
            **measures,
        }


def _outcome(
    pair_id: str, payloads: dict[str, Any], lanes: list[dict[str, Any]], quarantined: dict[str, Quarantined]
) -> dict[str, Any]:
    seconds = sum(map(_seconds, payloads.values())) + sum(lane["seconds"] for lane in lanes)
    info = {key: value for key, value in (payloads[WARP] or {}).get("info", {}).items() if key != "seconds"}
    notes = "; ".join((payloads[WARP] or {}).get("notes", ()))
    shared = {"seconds": seconds, "notes": notes or None, **info}
    if choice := payloads[SELECT]:
        chosen = {key: choice.get(key) for key in ("hypothesis", "rule", "value")}
        return {"state": "done", **chosen, **shared}
    if pair_id in quarantined:
        stage, reason = quarantined[pair_id]
        return {"state": "quarantined", "stage": stage, "reason": reason, **shared}
    return {"state": "pending", **shared}


def _seconds(payload: dict[str, Any] | None) -> float:
    return float((payload or {}).get("seconds") or 0.0)
