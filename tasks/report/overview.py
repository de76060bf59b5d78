"""What the page says of a whole run, collected block by block: counts, sums, and the pairs that were set aside."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mgi.config import RunConfig
from storage.summary import Summary
from tasks.report.columns import MEASURED, MetricSection
from tasks.report.rows import Block
from tasks.stages.table import stages_of

APART = 500
"""Rows of the page's table of quarantined pairs; quarantine.csv has all."""


class Overview:
    """The numbers of a run as a whole; the size of this does not depend on the run's."""

    def __init__(self, config: RunConfig) -> None:
        self.states: Counter[str] = Counter()
        """Pairs that are done, quarantined or pending."""
        self.stage_seconds = {stage.name: 0.0 for stage in stages_of(config)}
        self.quarantined: list[dict[str, Any]] = []
        self.lane_count = 0
        self.metrics = MetricSection()
        self.summary = Summary(MEASURED)

    def add(self, block: Block) -> None:
        """See some more pairs."""
        self.states.update(pair["state"] for pair in block.pairs)
        for stage, seconds in block.stage_seconds.items():
            self.stage_seconds[stage] += seconds
        apart = [pair for pair in block.pairs if pair["state"] == "quarantined"]
        self.quarantined += apart[: APART - len(self.quarantined)]
        self.lane_count += len(block.lanes)
        self.metrics.add(block)
        self.summary.add(block.lanes)

    @property
    def pairs(self) -> int:
        """How many there are."""
        return self.states.total()
