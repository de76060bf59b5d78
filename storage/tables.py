"""The tables of a run from plain rows; `storage.table_files` writes them.

Columns, their order and their types are the same in every run, whatever it measured: a value that a row lacks is
missing (NaN, <NA>), never an absent column. So the tables of two runs can always be concatenated, and large tables are
written block by block. What has no column, because a method or metric of another package says it, is a row of the table
`measures`. The caller says which metrics have columns; `storage.columns` says what the others mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import pandas as pd

from storage.columns import COUNTS, HYPOTHESES, MEASURES, METRICS, PAIRS, SEARCH, TOTAL, TRUTH, dtypes

Rows: TypeAlias = Sequence[Mapping[str, Any]]

METRIC_COLUMNS, MEASURE_COLUMNS = dtypes(METRICS), dtypes(MEASURES)
"""{column: type} of these tables."""
UNSAID = frozenset({"finished"})
"""Measures that another column says."""


@dataclass(frozen=True)
class Measured:
    """The names of everything that has columns, each in reading order.

    Args:
        rules: distances that choose among hypotheses.
        lanes: metrics of a hypothesis, before its optimisation and after it.
        results: metrics of a pair's finished image.
    """

    rules: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    @property
    def hypothesis_columns(self) -> dict[str, str]:
        """{column: type} of the table of hypotheses."""
        lanes = [f"{name}_{when}" for name in self.lanes for when in ("before", "after")]
        rules, after = dict.fromkeys(self.rules, "float64"), dict.fromkeys(lanes, "float64")
        return {**dtypes(HYPOTHESES), **rules, **dtypes(SEARCH), **after, **dtypes(TRUTH), "seconds": "float64"}

    @property
    def pair_columns(self) -> dict[str, str]:
        """{column: type} of the table of pairs."""
        return {**dtypes(PAIRS), **dict.fromkeys(self.results, "float64")}

    @property
    def summary_columns(self) -> dict[str, str]:
        """{column: type} of the table of hypotheses over all pairs."""
        means = [f"mean {name}" for name in self.means]
        return {**dtypes(COUNTS), **dict.fromkeys(means, "float64"), **dtypes(TOTAL)}

    @property
    def means(self) -> list[str]:
        """Columns of hypotheses whose means are summarised."""
        return [*self.rules, "loss", *(f"{name}_after" for name in self.lanes), "seconds"]


def hypotheses_table(rows: Rows, measured: Measured) -> pd.DataFrame:
    """One row per lane (pair and hypothesis), in the order given.

    Args:
        rows: mappings with `pair_id` and `hypothesis` at least; `Measured.hypothesis_columns` lists the other known
            keys (`failed` is a reason or None).
        measured: which metrics have columns.
    """
    table = _typed(rows, measured.hypothesis_columns)
    for flag in ("selected", "guarded", "halved"):
        table[flag] = table[flag].fillna(False)
    return table


def pairs_table(rows: Rows, measured: Measured) -> pd.DataFrame:
    """One row per pair, in the order given: its state (done, quarantined or pending), its choice, its metrics."""
    return _typed(rows, measured.pair_columns)


def metrics_table(rows: Rows) -> pd.DataFrame:
    """One row per pair and metric, in the order given: good for putting many runs together."""
    return _typed(rows, METRIC_COLUMNS)


def measures_table(rows: Rows) -> pd.DataFrame:
    """One row per pair, hypothesis and measure that no other table has; `measures_of` makes the rows."""
    return _typed(rows, MEASURE_COLUMNS)


def measures_of(pairs: Rows, lanes: Rows, metrics: Rows, measured: Measured) -> list[dict[str, Any]]:
    """What rows of pairs and hypotheses have that is in no other table, pair by pair, sorted by name."""
    elsewhere = UNSAID | {row["metric"] for row in metrics}
    known = measured.hypothesis_columns.keys() | UNSAID, measured.pair_columns.keys() | elsewhere
    of_lanes: dict[str, list[dict[str, Any]]] = {}
    for lane in lanes:
        of_lanes.setdefault(lane["pair_id"], []).extend(_unknown(lane, known[0], lane["hypothesis"]))
    return [row for pair in pairs for row in (*_unknown(pair, known[1]), *of_lanes.get(pair["pair_id"], ()))]


def summary_table(rows: Rows, measured: Measured) -> pd.DataFrame:
    """One row per hypothesis over all pairs, by layer and number of codes; `storage.summary` makes the rows."""
    order = ["composing_layer", "num_codes", "hypothesis"]
    return _typed(rows, measured.summary_columns).sort_values(order, ignore_index=True)


def _unknown(row: Mapping[str, Any], known: set[str], hypothesis: str | None = None) -> Iterator[dict[str, Any]]:
    for name in sorted(row.keys() - known):
        value = row[name]
        if value is None or value != value:
            continue
        number = isinstance(value, (int, float)) and math.isfinite(value)
        said = {"value": float(value)} if number else {"text": str(value)}
        yield {"pair_id": row["pair_id"], "hypothesis": hypothesis, "measure": name, **said}


def _typed(rows: Rows, columns: Mapping[str, str]) -> pd.DataFrame:
    table = pd.DataFrame.from_records(list(rows), columns=list(columns))
    table = table.astype(cast("dict[str, Any]", dict(columns)))
    texts = [name for name, kind in columns.items() if kind == "string"]
    return table.assign(**{name: table[name].replace("", pd.NA) for name in texts})  # in CSV they are the same
