"""What got better or worse between two evaluations of the same pairs, beyond chance: for CI and for schedules."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mgi.config import ConfigError
from mgi.intervals import holm, paired_difference
from tasks.suites.frame import OK, PUBLISHED
from tasks.suites.summary import SURE, by_pair, not_run

COSTS = {"seconds": "slower", "parameters": "larger", "working-memory": "larger"}
"""What says how busy a machine was or how large a method is; shown, and no regression."""


@dataclass(frozen=True)
class Change:
    """One metric of one method: before, after, their difference with its interval, and p after correction.

    `verdict` is better, worse, same, or unknown where nothing can be said (one number on each side, without interval,
    or no pair in common, `n` = 0); of costs it is slower or larger instead of worse.
    """

    method: str
    metric: str
    before: float
    after: float
    low: float
    high: float
    p: float
    n: int
    verdict: str = "unknown"


@dataclass(frozen=True)
class Comparison:
    """All that is to be said of two evaluations.

    Args:
        changes: every number that both have.
        lost: what was measured before and could not be now, and why; a line each.
        notes: what to know before the numbers are believed; a line each.
    """

    changes: list[Change]
    lost: list[str]
    notes: list[str]

    @property
    def regressions(self) -> list[str]:
        """What got worse beyond chance, and what is lost; a line each."""
        return [
            *(
                f"{change.method} {change.metric}: {change.before:.4g} -> {change.after:.4g} (p {change.p:.3f})"
                for change in worse(self.changes)
            ),
            *self.lost,
        ]


def comparison(before: pd.DataFrame, after: pd.DataFrame, tolerance: float = 0.0) -> Comparison:
    """Changes, losses and notes of two evaluations.

    Args:
        before, after, tolerance: as of `compare`.

    Raises:
        ConfigError: as `compare`, unless something is lost.
    """
    gone = lost(before, after)
    try:
        changes = compare(before, after, tolerance)
    except ConfigError:
        if not gone:
            raise
        changes = []
    notes = caveats(before, after)
    if other := apart(changes):
        notes.append(f"{len(other)} of {len(changes)} numbers cannot be compared: they have no pair in common")
    return Comparison(changes, gone, notes)


def compare(before: pd.DataFrame, after: pd.DataFrame, tolerance: float = 0.0) -> list[Change]:
    """Every metric of every method that both evaluations have.

    Pairs are compared one by one (paired bootstrap and sign flips, p corrected for all of them by Holm); a number of a
    whole set has changed if its intervals do not meet.

    Args:
        before, after: as `tasks.suites.frame.read_frame`.
        tolerance: a change below this share of `before` is none, however sure it is.

    Raises:
        ConfigError: they have no method and metric in common, or no pair.
    """
    found: list[Change] = []
    directions: list[bool] = []
    for method, metric, higher in _shared(before, after):
        old, new = by_pair(before, metric), by_pair(after, metric)
        if method in old and method in new:
            ids = old.index.intersection(new.index)
            x, y = old.loc[ids, method].to_numpy(), new.loc[ids, method].to_numpy()
            d = paired_difference(y, x)
            both = np.isfinite(x) & np.isfinite(y)
            if both.any():
                means = float(x[both].mean()), float(y[both].mean())
            else:
                means = float(old[method].mean()), float(new[method].mean())
            found.append(Change(method, metric, *means, d.low, d.high, d.p, d.count))
        else:
            found += _of_set(before, after, method, metric)
        directions += [higher] * (len(found) - len(directions))
    if not found:
        raise ConfigError("expected two evaluations with a method and a metric in common, found none")
    if not any(change.n for change in found):
        raise ConfigError("expected two evaluations of the same pairs, found no pair that both have")
    ps = holm([change.p for change in found])
    return [_judged(*each, tolerance) for each in zip(found, ps, directions, strict=True)]


def apart(changes: list[Change]) -> list[Change]:
    """Numbers of pairs that both sides have, of no pair in common."""
    return [change for change in changes if not change.n]


def lost(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """Rows and metrics that were measured before, were asked for again and gave no number; a line each, with why.

    What `after` does not have at all was not asked for, and is not lost.
    """
    measured = before[before["value"].notna() & before["metric"].notna() & before["status"].ne(PUBLISHED)]
    had = set(zip(measured["method"], measured["metric"], strict=True))
    asked = after[after["status"].ne(PUBLISHED)]
    rows = set(measured["method"])
    found = [f"{method}: {why}" for method, why in not_run(asked).items() if method in rows]
    for (method, metric), of_both in asked.dropna(subset=["metric"]).groupby(["method", "metric"], sort=False):
        reasons = of_both["status"][of_both["status"].ne(OK)]
        if (method, metric) in had and len(reasons) and not of_both["value"].notna().any():
            found.append(f"{method} {metric}: {reasons.iloc[0]}")
    return found


def caveats(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """Why numbers may differ though nothing else does: versions of a suite, networks that measured; a line each."""
    found = []
    named = (table.dropna(subset=["suite", "version"]) for table in (before, after))
    old, new = (set(zip(table["suite"], table["version"], strict=True)) for table in named)
    for (suite, was), (name, now) in itertools.product(sorted(old - new), sorted(new - old)):
        if suite == name:
            found.append(f"version {was} of the suite {suite} before, {now} after")
    for metric in sorted(set(before["metric"].dropna()) & set(after["metric"].dropna())):
        hashes = [set(table[table["metric"] == metric]["network_sha256"].dropna()) for table in (before, after)]
        if all(hashes) and hashes[0] != hashes[1]:
            found.append(f"{metric} was measured by other weights before")
    return found


def worse(changes: list[Change]) -> list[Change]:
    """The regressions."""
    return [change for change in changes if change.verdict == "worse"]


def _shared(before: pd.DataFrame, after: pd.DataFrame) -> list[tuple[str, str, bool]]:
    def rows(table: pd.DataFrame) -> dict[tuple[str, str], bool]:
        kept = table[table["metric"].notna() & (table["status"] != PUBLISHED)]
        kept = kept.drop_duplicates(["method", "metric"])
        keys = zip(kept["method"], kept["metric"], strict=True)
        return dict(zip(keys, kept["higher_is_better"].fillna(False).astype(bool), strict=True))

    old, new = rows(before), rows(after)
    return [(method, metric, higher) for (method, metric), higher in new.items() if (method, metric) in old]


def _of_set(before: pd.DataFrame, after: pd.DataFrame, method: str, metric: str) -> list[Change]:
    rows = []
    for table in (before, after):
        of_both = table[(table["method"] == method) & (table["metric"] == metric) & table["pair_id"].isna()]
        of_both = of_both[of_both["value"].notna() & (of_both["status"] != PUBLISHED)]
        if not len(of_both):
            return []
        rows.append(of_both.iloc[0])
    x, y = rows
    ends = [x["low"], x["high"], y["low"], y["high"]]
    if any(math.isnan(end) for end in ends):
        p = math.nan
    else:  # both intervals as if normal
        deviation = math.hypot(*((row["high"] - row["low"]) / 3.92 for row in rows))
        z = abs(y["value"] - x["value"]) / deviation if deviation else (math.inf if y["value"] != x["value"] else 0.0)
        p = math.erfc(z / math.sqrt(2))
    low, high = y["low"] - x["high"], y["high"] - x["low"]
    n = int(min(x["n"], y["n"]))
    return [Change(method, metric, float(x["value"]), float(y["value"]), low, high, p, n)]


def _judged(change: Change, p: float, higher: bool, tolerance: float) -> Change:
    difference = change.after - change.before
    if math.isnan(p):
        verdict = "same" if difference == 0 and change.n else "unknown"
    elif p > SURE or difference == 0 or abs(difference) <= tolerance * abs(change.before):
        verdict = "same"
    else:
        verdict = "better" if (difference > 0) == higher else "worse"
    if verdict == "worse":
        verdict = COSTS.get(change.metric, verdict)
    return replace(change, p=p, verdict=verdict)
