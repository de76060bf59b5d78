"""What the page shows of a whole run, collected block by block: counts, sums, and the first rows of each kind."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any, NamedTuple

from mgi.config import RunConfig
from storage.summary import Summary
from tasks.report.columns import LANES, MetricSection
from tasks.report.rows import Block
from tasks.stages.table import stages_of

GALLERY = 48
"""Pairs shown as pictures on the page and the sheet. All pairs are in the tables, all results in final/."""
LANE_ROWS = 1200
"""Rows of the page's table of hypotheses; the files in tables/ hold all of them."""
APART = 500
"""Rows of the page's table of quarantined pairs; quarantine.csv has all."""


class Shown(NamedTuple):
    """A pair in the gallery."""

    pair: dict[str, Any]
    lanes: list[dict[str, Any]]
    warped: bool


class Overview:
    """Everything but the pictures that the page of a run needs to know; its size does not depend on the run's."""

    def __init__(self, config: RunConfig) -> None:
        self.states: Counter[str] = Counter()
        """Pairs that are done, quarantined or pending."""
        self.stage_seconds = {stage.name: 0.0 for stage in stages_of(config)}
        self.gallery: list[Shown] = []
        self.quarantined: list[dict[str, Any]] = []
        self.lanes: list[dict[str, Any]] = []
        self.lane_count = 0
        self.metrics = MetricSection()
        self.summary = Summary(LANES)

    def add(self, block: Block) -> None:
        """See some more pairs."""
        self.states.update(pair["state"] for pair in block.pairs)
        for stage, seconds in block.stage_seconds.items():
            self.stage_seconds[stage] += seconds
        done = [pair for pair in block.pairs if pair["state"] == "done"][: GALLERY - len(self.gallery)]
        lanes = {id: list(own) for id, own in groupby(block.lanes, lambda lane: lane["pair_id"])} if done else {}
        for pair in done:
            id = pair["pair_id"]
            self.gallery.append(Shown(pair, lanes.get(id, []), id not in block.unwarped))
        apart = [pair for pair in block.pairs if pair["state"] == "quarantined"]
        self.quarantined += apart[: APART - len(self.quarantined)]
        self.lanes += block.lanes[: LANE_ROWS - len(self.lanes)]
        self.lane_count += len(block.lanes)
        self.metrics.add(block)
        self.summary.add(block.lanes)

    @property
    def pairs(self) -> int:
        """How many there are."""
        return self.states.total()
