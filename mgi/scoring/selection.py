"""Which hypothesis wins: rules on the rows of one pair, or of all pairs for `set-fid` (MGI section 3.2).

Pure functions of numbers that were computed before; the same rows give the same choice in any order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mgi.config import RULES

Row = Mapping[str, Any]
"""`hypothesis` (id), `error` (distance to the warp; smaller is more faithful), one number per rule, and `finished`,
which is 0 where the search ended it early."""


class SelectionError(ValueError):
    """No hypothesis can win; the message is one line and says why."""


@dataclass(frozen=True)
class Choice:
    """The winner of one pair.

    `guarded` are the ids that the fidelity bound put out, `invalid` those whose error or distance is not a number,
    `halved` those that the search ended before their last step.
    """

    hypothesis: str
    rule: str
    value: float
    guarded: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    halved: tuple[str, ...] = ()


def select(rows: Sequence[Row], rule: str, fidelity_bound: float) -> Choice:
    """The hypothesis of smallest distance among those that are faithful enough.

    Args:
        rows: one per hypothesis.
        rule: the key of the distance, one of `RULES`.
        fidelity_bound: a hypothesis whose error exceeds this multiple of the smallest error is out; inf: no guard.

    Ties go to the smaller error, then to the smaller id. A hypothesis whose error or distance is missing or not finite
    can neither win nor set the bound.

    Raises:
        SelectionError: no row has a finite error and distance.
    """
    if rule not in RULES:
        raise SelectionError(f"unknown selection rule {rule!r}; use one of {', '.join(RULES)}")
    # A lane that the search gave up is only good for the table, unless nothing else is left.
    whole = [row for row in rows if _number(row, "finished") != 0]
    halved = _ids([row for row in rows if _number(row, "finished") == 0])
    candidates, guarded, invalid = _guard(whole, rule, fidelity_bound)
    if not candidates and halved:
        candidates, guarded, invalid = _guard(rows, rule, fidelity_bound)
        halved = ()
    if not candidates:
        what = f"in all {len(rows)}, {rule} or the error is missing or not finite" if rows else "there are none"
        raise SelectionError(f"no hypothesis can be selected: {what}; see the reasons in the hypotheses table")
    best = min(candidates, key=lambda row: (_number(row, rule), _number(row, "error"), row["hypothesis"]))
    return Choice(best["hypothesis"], rule, _number(best, rule), guarded, invalid, halved)


def select_set(tables: Sequence[Sequence[Row]], distances: Mapping[str, float], fidelity_bound: float) -> list[Choice]:
    """`set-fid`: one ranking of hypotheses for the whole set, by their distance over all pairs.

    Every pair gets the best-ranked hypothesis that it has a faithful result of, so that one failed lane or one pair
    that a hypothesis does not suit costs that pair its favourite and the set nothing.

    Args:
        tables: the rows of each pair.
        distances: hypothesis id -> set distance (`set_fid`).

    Returns:
        One choice per table.
    """
    return [
        select([{**row, "set-fid": distances.get(row["hypothesis"])} for row in rows], "set-fid", fidelity_bound)
        for rows in tables
    ]


def _guard(rows: Sequence[Row], rule: str, bound: float) -> tuple[list[Row], tuple[str, ...], tuple[str, ...]]:
    """(rows that may win, ids out by the bound, ids without numbers)."""
    valid: list[Row] = []
    invalid: list[Row] = []
    for row in rows:
        finite = math.isfinite(_number(row, rule)) and math.isfinite(_number(row, "error"))
        (valid if finite else invalid).append(row)
    smallest = min((_number(row, "error") for row in valid), default=0.0)
    faithful: list[Row] = []
    guarded: list[Row] = []
    for row in valid:
        # Not error > bound * smallest alone: an infinite bound times an error of zero is not a number.
        out = math.isfinite(bound) and _number(row, "error") > bound * smallest
        (guarded if out else faithful).append(row)
    return faithful, _ids(guarded), _ids(invalid)


def _ids(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(sorted(row["hypothesis"] for row in rows))


def _number(row: Row, key: str) -> float:
    value = row.get(key)
    return math.nan if value is None else float(value)
