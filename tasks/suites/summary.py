"""From the tidy table to one line per method and metric: mean, interval, difference from the baseline, who is best."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pandas as pd

from mgi.intervals import Difference, holm, mean_interval, paired_difference
from storage.columns import Column, dtypes
from tasks.suites.frame import EVALUATION, NOT_RUN, PUBLISHED

MEANS: dict[str, Column] = {
    "suite": EVALUATION["suite"],
    "version": EVALUATION["version"],
    "method": EVALUATION["method"],
    "metric": EVALUATION["metric"],
    "value": Column("float64", "mean over the pairs, or the set's number", "see `unit`"),
    "low": EVALUATION["low"],
    "high": EVALUATION["high"],
    "n": Column("Int64", "pairs, or pictures of the set"),
    "unit": EVALUATION["unit"],
    "higher_is_better": EVALUATION["higher_is_better"],
    "difference": Column("float64", "mean difference from the suite's `against`, pair by pair", "see `unit`"),
    "difference_low": Column("float64", "lower end of its interval of 95 %", "see `unit`"),
    "difference_high": Column("float64", "upper end", "see `unit`"),
    "p": Column("float64", "of that difference, by sign flips, corrected for the number of methods"),
    "best": Column("boolean", "whether it is the best, or within chance of it"),
    "published": Column("float64", "what the paper prints, the first one of several", "see `unit`"),
    "papers": Column("string", "every published number with its source, such as `202.349 (MGI, table 1)`"),
    "status": EVALUATION["status"],
}
SUMMARY: dict[str, str] = dtypes(MEANS)
"""{column: type} of the summary."""
SURE = 0.05
"""p above which two methods count as alike."""


def summarise(table: pd.DataFrame, against: str) -> pd.DataFrame:
    """One row per method and metric, methods and metrics in the table's order.

    Args:
        table: as `tasks.suites.frame`.
        against: the method that others are compared with, pair by pair. p values are corrected for the number of
            methods under each metric.
    """
    measured = table[table["metric"].notna() & (table["status"] != PUBLISHED)]
    metrics, methods = list(measured["metric"].unique()), list(measured["method"].unique())
    numbers = table[table["status"] == PUBLISHED].groupby(["method", "metric"])
    published = numbers["value"].first().to_dict()
    papers = {place: "; ".join(map(_printed, found["value"], found["run"].fillna(""))) for place, found in numbers}
    rows: list[dict[str, Any]] = []
    for metric in metrics:
        of_metric = measured[measured["metric"] == metric]
        if of_metric["pair_id"].isna().all():
            rows += _of_sets(of_metric)
        else:
            rows += _of_pairs(of_metric, methods, against)
    for row in rows:
        row["published"] = published.get((row["method"], row["metric"]), math.nan)
        row["papers"] = papers.get((row["method"], row["metric"]))
    for (method, metric), value in cast("dict[tuple[str, str], float]", published).items():
        if not any(row["method"] == method and row["metric"] == metric for row in rows):
            said = {"published": value, "papers": papers[method, metric]}
            rows.append({"method": method, "metric": metric, **said, "status": PUBLISHED})
    for method, status in table[table["metric"].isna()][["method", "status"]].itertuples(index=False):
        rows.append({"method": method, "status": status})
    named = {"suite": table["suite"].iloc[0], "version": table["version"].iloc[0]} if len(table) else {}
    records = [{name: {**named, **row}.get(name) for name in SUMMARY} for row in rows]
    frame = pd.DataFrame.from_records(records, columns=list(SUMMARY)).astype(cast("Any", SUMMARY))
    frame["best"] = frame["best"].fillna(False)
    return frame


def _printed(value: float, source: str) -> str:
    """A published number, all its digits, and where it is from."""
    return f"{value:.10g} ({source})" if source else f"{value:.10g}"


def by_pair(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Pairs x methods of one metric; what is missing is NaN."""
    of_metric = table[(table["metric"] == metric) & table["pair_id"].notna()]
    return of_metric.pivot_table(index="pair_id", columns="method", values="value", aggfunc="first")


def _of_sets(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = [
        {key: found[key] for key in ("method", "metric", *_NUMBERS, "unit", "higher_is_better", "status")}
        for found in table.to_dict("records")
    ]
    known = [row for row in rows if not math.isnan(row["value"])]
    if known:
        better = max if bool(known[0]["higher_is_better"]) else min
        best = better(known, key=lambda row: row["value"])
        for row in known:  # as good as the best if the intervals meet
            row["best"] = row is best or _meet(row, best)
    return rows


_NUMBERS = ("value", "low", "high", "n")


def _meet(a: dict[str, Any], b: dict[str, Any]) -> bool:
    ends = [a["low"], a["high"], b["low"], b["high"]]
    return not any(math.isnan(end) for end in ends) and a["low"] <= b["high"] and b["low"] <= a["high"]


def _as_good(difference: Difference, corrected: float, methods: int) -> bool:
    """Whether a method is within chance of the best.

    No test of few pairs can be sure: of n, the smallest p is 2 / 2^n. There the interval of the difference decides.
    """
    if methods * 2.0 ** (1 - difference.count) > SURE:
        return difference.low <= 0 <= difference.high
    return bool(np.nan_to_num(corrected, nan=0.0) > SURE)


def _of_pairs(table: pd.DataFrame, methods: list[str], against: str) -> list[dict[str, Any]]:
    wide = table.pivot_table(index="pair_id", columns="method", values="value", aggfunc="first", dropna=False)
    first = table.iloc[0]
    higher = bool(first["higher_is_better"])
    here = [method for method in methods if method in wide.columns]
    means = {method: mean_interval(wide[method].to_numpy()) for method in here}
    known = [method for method in here if means[method].count]
    rows: list[dict[str, Any]] = []
    if not known:
        return rows
    best = (max if higher else min)(known, key=lambda method: means[method].value)
    from_best = {m: paired_difference(wide[m].to_numpy(), wide[best].to_numpy()) for m in known}
    alike = dict(zip(known, holm([from_best[m].p if m != best else math.nan for m in known]), strict=True))
    differences = {
        m: paired_difference(wide[m].to_numpy(), wide[against].to_numpy())
        for m in known
        if against in known and m != against
    }
    corrected = dict(zip(differences, holm([found.p for found in differences.values()]), strict=True))
    failed = table[table["status"].str.startswith("failed")].groupby("method").size().to_dict()
    for method in known:
        mean, found = means[method], differences.get(method)
        rows.append(
            {
                "method": method,
                "metric": first["metric"],
                **{"value": mean.value, "low": mean.low, "high": mean.high, "n": mean.count},
                "unit": first["unit"],
                "higher_is_better": higher,
                "difference": found.value if found else None,
                "difference_low": found.low if found else None,
                "difference_high": found.high if found else None,
                "p": corrected.get(method),
                "best": method == best or _as_good(from_best[method], alike[method], len(known)),
                "status": f"failed on {failed[method]} of {len(wide)}" if failed.get(method) else "ok",
            }
        )
    return rows


def not_run(table: pd.DataFrame) -> dict[str, str]:
    """{method: why} of the rows that could not be run, of a summary or of the tidy table."""
    rows = table[table["metric"].isna() & table["status"].str.startswith(NOT_RUN)]
    return dict(zip(rows["method"], rows["status"], strict=True))
