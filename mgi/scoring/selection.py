"""Which hypothesis wins: rules on the rows of one pair, or of all pairs for `set-fid` (MGI section 3.2).

Pure functions of stored numbers; the same rows give the same choice in any order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mgi.config import RULES
from mgi.near import near

Row = Mapping[str, Any]
"""`hypothesis` (id), `error` (distance to the warp; smaller is more faithful), one number per rule, and `finished`,
which is 0 if the search ended it early."""


class SelectionError(ValueError):
    """No hypothesis can win; the message is one line and says why."""


@dataclass(frozen=True)
class Choice:
    """The winner of one pair.

    `guarded` are the ids that the fidelity bound or the critic ruled out, `invalid` those whose error or distance is
    not a number, `halved` those that the search ended before their last step.
    """

    hypothesis: str
    rule: str
    value: float
    guarded: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    halved: tuple[str, ...] = ()


def select(rows: Sequence[Row], rule: str, fidelity_bound: float, critic_margin: float = 0.0) -> Choice:
    """n* = argmin k_n (MGI section 3.2): the smallest distance among hypotheses that are faithful enough.

    Args:
        rows: one per hypothesis.
        rule: the key of the distance, one of `RULES`.
        fidelity_bound: a hypothesis whose error exceeds this multiple of the smallest error is out; inf: no guard.
        critic_margin: of the faithful ones, those whose `critic` is more than this above the smallest are out, too; one
            without that number stays; 0: no guard.

    Ties go to the smaller error, then to the smaller id. A hypothesis whose error or distance is missing or not finite
    can neither win nor set the bound.

    Raises:
        SelectionError: no row has a finite error and distance.
    """
    if rule not in RULES:
        raise SelectionError(f"unknown selection rule {rule!r}{near(rule, RULES)}; use one of {', '.join(RULES)}")
    # A lane that the search gave up counts only if nothing else is left.
    whole = [row for row in rows if _number(row, "finished") != 0]
    halved = _ids([row for row in rows if _number(row, "finished") == 0])
    candidates, guarded, invalid = _guard(whole, rule, fidelity_bound, critic_margin)
    if not candidates and halved:
        candidates, guarded, invalid = _guard(rows, rule, fidelity_bound, critic_margin)
        halved = ()
    if not candidates:
        what = f"in all {len(rows)}, {rule} or the error is missing or not finite" if rows else "there are none"
        raise SelectionError(f"no hypothesis can be selected: {what}; see the reasons in the hypotheses table")
    best = min(candidates, key=lambda row: (_number(row, rule), _number(row, "error"), row["hypothesis"]))
    return Choice(best["hypothesis"], rule, _number(best, rule), guarded, invalid, halved)


def select_set(
    tables: Sequence[Sequence[Row]], distances: Mapping[str, float], fidelity_bound: float, critic_margin: float = 0.0
) -> list[Choice]:
    """n* of MGI section 3.2 by `set-fid`: one ranking of hypotheses for the set, by their distance over all pairs.

    Every pair gets the best-ranked hypothesis for which it has a faithful result. So one failed lane, or one pair that
    a hypothesis does not suit, changes that pair's choice only.

    Args:
        tables: the rows of each pair.
        distances: hypothesis id -> set distance (`set_fid`).

    Returns:
        One choice per table.
    """
    ranked = [[{**row, "set-fid": distances.get(row["hypothesis"])} for row in rows] for rows in tables]
    return [select(rows, "set-fid", fidelity_bound, critic_margin) for rows in ranked]


def _guard(
    rows: Sequence[Row], rule: str, bound: float, margin: float
) -> tuple[list[Row], tuple[str, ...], tuple[str, ...]]:
    """(rows that may win, ids ruled out by the bound or the critic, ids without numbers)."""
    valid: list[Row] = []
    invalid: list[Row] = []
    for row in rows:
        finite = math.isfinite(_number(row, rule)) and math.isfinite(_number(row, "error"))
        (valid if finite else invalid).append(row)
    smallest = min((_number(row, "error") for row in valid), default=0.0)
    faithful: list[Row] = []
    guarded: list[Row] = []
    for row in valid:
        # Not only error > bound * smallest: an infinite bound times an error of zero is not a number.
        out = math.isfinite(bound) and _number(row, "error") > bound * smallest
        (guarded if out else faithful).append(row)
    if margin:
        least = min((value for row in faithful if math.isfinite(value := _number(row, "critic"))), default=math.nan)
        worse = [row for row in faithful if _number(row, "critic") > least + margin]
        guarded, faithful = guarded + worse, [row for row in faithful if row not in worse]
    return faithful, _ids(guarded), _ids(invalid)


def _ids(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(sorted(row["hypothesis"] for row in rows))


def _number(row: Row, key: str) -> float:
    value = row.get(key)
    return math.nan if value is None else float(value)
