"""`quarantine.csv`: pairs that were set aside while the others continued, with the stage and the reason."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from storage.atomic import write_text
from storage.cells import harmless, original

_COLUMNS = ("pair_id", "stage", "reason")


class Quarantined(NamedTuple):
    """Where a pair failed and why, in one line."""

    stage: str
    reason: str


def read(path: Path) -> dict[str, Quarantined]:
    """All quarantined pairs, in the order in which they failed; empty without a file."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: original(row[name]) for name in _COLUMNS} for row in csv.DictReader(file)]
    return {row["pair_id"]: Quarantined(row["stage"], row["reason"]) for row in rows}


def write(path: Path, pairs: dict[str, Quarantined]) -> None:
    """Replace the file by one that lists `pairs`. One process does this at a time: the one that steers the run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for pair_id, (stage, reason) in pairs.items():
        writer.writerow(map(harmless, (pair_id, stage, " ".join(reason.split()))))
    write_text(path, text.getvalue())
