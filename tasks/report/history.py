"""What the report says about how a run has grown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mgi.config import RunConfig
from storage.run_changes import HYPOTHESES, PAIRS, grown, history

APART = "hypotheses that were added later competed among themselves while they were inverted, then with all others"


def growth_lines(header: Mapping[str, Any], config: RunConfig) -> list[str]:
    """One line per change, oldest first, and what follows for those who compare hypotheses; empty for most runs."""
    lines = [f"{when} {what}" for when, what in history(header)]
    together = config.inversion.rungs or config.inversion.warm_start
    if together and any(change["what"] == HYPOTHESES for change in header["changes"]):
        lines.append(APART)
    return lines


def inputs_of(header: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Inputs with which a new run gets the pairs of this one.

    Pairs that were added later need not be those that the same pairing of the folders gives today; the table of pairs
    is a CSV file that lists them.
    """
    inputs = dict(grown(header).get("inputs", {}))
    if inputs.get("pairing") in ("zip", "random") and any(change["what"] == PAIRS for change in header["changes"]):
        inputs |= {"pairing": f"{run}/tables/pairs.csv", "limit": None}
    return inputs
