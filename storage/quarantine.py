"""`quarantine.csv`: pairs that were set aside while the others continued, with the stage and the reason.

A row is added at the end, so setting aside the thousandth pair costs what the first one did. Each row carries a digest
of itself. A row that a killed process tore counts for nothing; one that was changed since still sets its pair aside,
and `mgi verify` names it. If a row is lost its pair is tried again, and fails again.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from storage.atomic import write_text
from storage.cells import harmless, original

_COLUMNS = ("pair_id", "stage", "reason", "seal")
_BEFORE = len(_COLUMNS) - 1
"""Columns of earlier versions, whose rows had no seal."""


class Quarantined(NamedTuple):
    """Where a pair failed and why, in one line."""

    stage: str
    reason: str


def read(path: Path) -> dict[str, Quarantined]:
    """All quarantined pairs, in the order in which they failed; empty without a file."""
    return {pair_id: entry for pair_id, entry, _ in _rows(path)}


def damaged(path: Path) -> list[str]:
    """What the file calls the pairs of rows that are not what was written."""
    return [pair_id for pair_id, _, whole in _rows(path) if not whole]


def add(path: Path, pair_id: str, entry: Quarantined) -> None:
    """Set one pair aside. One process does this at a time: the one that steers the run."""
    if not path.is_file() or path.stat().st_size == 0:
        write(path, {pair_id: entry})
        return
    with path.open("rb+") as file:
        file.seek(-1, 2)
        torn = file.read(1) != b"\n"
        file.write(("\n" * torn + _lines([_row(pair_id, entry)])).encode("utf-8"))


def write(path: Path, pairs: Mapping[str, Quarantined]) -> None:
    """Replace the file by one that lists `pairs`. One process does this at a time, as for `add`."""
    write_text(path, _lines([_COLUMNS, *(_row(pair_id, entry) for pair_id, entry in pairs.items())]))


def _rows(path: Path) -> Iterator[tuple[str, Quarantined, bool]]:
    """(pair, entry, whether the row is what was written); rows that end too early are left out."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file)
        columns = len(next(rows, ()))
        for row in rows:
            sealed = columns > _BEFORE or len(row) > _BEFORE
            if len(row) < _BEFORE + sealed:
                continue
            pair_id, stage, reason = map(original, row[:_BEFORE])
            entry = Quarantined(stage, reason)
            yield pair_id, entry, not sealed or row[_BEFORE:] == [_seal(pair_id, entry)]


def _row(pair_id: str, entry: Quarantined) -> list[str]:
    kept = Quarantined(entry.stage, " ".join(entry.reason.split()))
    return [*map(harmless, (pair_id, *kept)), _seal(pair_id, kept)]


def _seal(pair_id: str, entry: Quarantined) -> str:
    return hashlib.sha256("\n".join((pair_id, *entry)).encode("utf-8", "replace")).hexdigest()[:16]


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
