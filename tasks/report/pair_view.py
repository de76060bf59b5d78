"""Everything the page shows of one pair: its pictures, hypotheses, numbers and loss curves, as a script of its own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mgi.config import RunConfig
from storage.atomic import write_bytes
from storage.run_store import RunStore, StoreCorrupt
from tasks.report.charts import coarse_steps, loss_chart
from tasks.report.columns import lane_columns
from tasks.report.pictures import FOLDER, Pictures
from tasks.stages.invert import LOSS, lane_value

NAME = "pair.js"
FORMAT = 1
"""Of these files; another number has all of them written again."""
CAPTIONS = {"source": "source", "exemplar": "exemplar", "warp": "exemplar warped to the source"}


class PairViews:
    """Writes `RUN/report/ID/pair.js`; a file whose first line says that it was made of the same rows stays as it is."""

    def __init__(self, store: RunStore, config: RunConfig, pictures: Pictures) -> None:
        self._store, self._config, self._pictures = store, config, pictures
        self._turn = coarse_steps(config)
        self.columns = lane_columns(config) if config.searches else []
        """(key, heading) of the numbers of a hypothesis."""

    def view(
        self, pair: dict[str, Any], lanes: list[dict[str, Any]], warped: bool, close: bool
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What there is to see of a finished pair, written to its file.

        Args:
            pair, lanes: its rows.
            warped: whether its method made a warp.
            close: also render hypotheses that lost, and return the loss curves, {hypothesis id: float [steps]}.
        """
        id = pair["pair_id"]
        pictures, captions = self._inputs(pair, warped)
        if small := self._pictures.result(id):
            pictures["result"] = small
        view: dict[str, Any] = {
            "id": id,
            "title": f"{pair['source']} + {pair['exemplar']}" if pair["exemplar"] else pair["source"],
            "source": pair["source"],
            "exemplar": pair["exemplar"],
            "pictures": pictures,
            "captions": captions,
            "final": self._pictures.final(id),
            "hypothesis": pair.get("hypothesis"),
            "notes": pair["notes"] or "",
            "matched": pair.get("matched_share"),
            "lanes": [self._lane(id, lane, close) for lane in lanes],
        }
        key = hashlib.sha256(json.dumps([FORMAT, self._turn, view], sort_keys=True).encode()).hexdigest()
        path = Path(self._store.path) / FOLDER / id / NAME
        known = _first_line(path) == f"// {key}"
        losses: dict[str, np.ndarray] = {}
        if close or not known:
            losses, whole = self._losses(id, lanes)
            chart = loss_chart(losses, pair.get("hypothesis"), self._turn)
            data = json.dumps(view | {"chart": chart and asdict(chart)}, separators=(",", ":"))
            text = f"// {key if whole else 'a loss curve is damaged'}\nmgiPair({data});\n"
            write_bytes(path, text.encode(), flush=False)  # a file that is cut short has another first line or is gone
        return view, losses

    def _inputs(self, pair: dict[str, Any], warped: bool) -> tuple[dict[str, str], dict[str, str]]:
        """Paths and captions of everything but the result."""
        id, config = pair["pair_id"], self._config
        names = ["source", *(["exemplar"] if pair["exemplar"] else []), *(["warp"] if warped else [])]
        captions = {name: CAPTIONS[name] for name in names}
        if config.task == "invert" and warped:
            captions["warp"] = "as observed"
        paths = {name: self._pictures.input(id, name) for name in names}
        if warped and config.task == "translate" and config.warp.judged:
            trusted = self._pictures.confidence(id)
            if trusted is not None:
                paths["confidence"] = trusted
                captions["confidence"] = "bright where a match leads there and back"
        return paths, captions

    def _lane(self, id: str, lane: dict[str, Any], render: bool) -> dict[str, Any]:
        hypothesis = lane["hypothesis"]
        return {
            "name": hypothesis,
            "picture": None if lane["failed"] else self._pictures.hypothesis(id, hypothesis, render),
            "distance": lane.get(self._config.selection.rule),
            **{name: lane[name] for name in ("selected", "guarded", "halved")},
            "failed": lane["failed"] or "",
            "numbers": [lane.get(key) for key, _ in self.columns],
        }

    def _losses(self, id: str, lanes: list[dict[str, Any]]) -> tuple[dict[str, np.ndarray], bool]:
        """The curves that there are, and whether none of them is damaged."""
        found, whole = {}, True
        for lane in lanes:
            if lane["failed"] is not None:
                continue
            try:
                found[lane["hypothesis"]] = lane_value(self._store, LOSS, id, lane["hypothesis"])
            except KeyError:  # a method need not keep its losses
                continue
            except StoreCorrupt:  # only leaves out a line
                whole = False
        return found, whole


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError):
        return ""
