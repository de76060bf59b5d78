"""The tables of a run (hypotheses, pairs, summary, metrics) from plain rows. `storage.table_files` writes them.

Columns keep their place and type, whatever a run measured: the known ones first, in reading order, then any other
measure by name. A value that a row lacks is missing (NaN, <NA>), never an absent column, so the tables of two runs can
always be concatenated. The caller says which metrics there are. Large tables are made block by block: `Further` first
sees the rows of all blocks, then every block becomes a table with the same columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import pandas as pd

Rows: TypeAlias = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Measured:
    """The names of everything measured, each in reading order.

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
        return {
            "pair_id": "string",
            "hypothesis": "string",
            "composing_layer": "Int64",
            "num_codes": "Int64",
            "selected": "boolean",
            "guarded": "boolean",
            "halved": "boolean",
            "failed": "string",
            **dict.fromkeys((*self.rules, "steps", "coarse_steps", "loss", *lanes, "seconds"), "float64"),
        }

    @property
    def pair_columns(self) -> dict[str, str]:
        """{column: type} of the table of pairs."""
        return {**PAIR_COLUMNS, **dict.fromkeys(self.results, "float64")}

    @property
    def summary_columns(self) -> dict[str, str]:
        """{column: type} of the table of hypotheses over all pairs."""
        counts = ("composing_layer", "num_codes", "lanes", "wins", "guarded", "failed")
        means = [f"mean {name}" for name in self.means]
        return {
            "hypothesis": "string",
            **dict.fromkeys(counts, "Int64"),
            **dict.fromkeys([*means, "total seconds"], "float64"),
        }

    @property
    def means(self) -> list[str]:
        """Columns of hypotheses whose means are summarised."""
        return [*self.rules, "loss", *(f"{name}_after" for name in self.lanes), "seconds"]


PAIR_COLUMNS: dict[str, str] = {
    "index": "Int64",
    "pair_id": "string",
    "source": "string",
    "exemplar": "string",
    "state": "string",
    "result": "string",
    "method": "string",
    "hypothesis": "string",
    "rule": "string",
    "value": "float64",
    "seconds": "float64",
    "working_mib": "float64",
    "warp_method": "string",
    "oeft_seconds": "float64",
    "matched_share": "float64",
    "stage": "string",
    "reason": "string",
}

METRIC_COLUMNS: dict[str, str] = {
    "pair_id": "string",
    "method": "string",
    "metric": "string",
    "value": "float64",
    "unit": "string",
    "higher_is_better": "boolean",
    "rows": "Int64",
    "version": "Int64",
    "digest": "string",
    "seconds": "float64",
    "failed": "string",
}


class Further:
    """What rows have besides the known columns: columns of numbers if all their values are, else of text."""

    def __init__(self) -> None:
        self._numbers: dict[str, bool] = {}

    def add(self, rows: Rows, known: Mapping[str, str]) -> None:
        """See some more rows of the table."""
        numbers, names = self._numbers, known.keys()
        for row in rows:
            for key in row.keys() - names:
                numbers[key] = numbers.get(key, True) and _is_number(row[key])

    def columns(self, known: Mapping[str, str]) -> dict[str, str]:
        """{column: type} by name, without those that turned out to be known."""
        kinds = {name: "float64" if number else "string" for name, number in self._numbers.items()}
        return {name: kinds[name] for name in sorted(kinds.keys() - known.keys())}


def hypotheses_table(rows: Rows, measured: Measured, further: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per lane (pair and hypothesis), in the order given.

    Args:
        rows: mappings with `pair_id` and `hypothesis` at least; `Measured.hypothesis_columns` lists the other known
            keys (`failed` is a reason or None).
        measured: which metrics have columns.
        further: the columns of all other keys, see `Further`; None: those that these rows have.
    """
    table = _typed(rows, measured.hypothesis_columns, further)
    for flag in ("selected", "guarded", "halved"):
        table[flag] = table[flag].fillna(False)
    return table


def pairs_table(rows: Rows, measured: Measured, further: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per pair, in the order given: its state (done, quarantined or pending), its choice, its metrics."""
    return _typed(rows, measured.pair_columns, further)


def metrics_table(rows: Rows, further: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per pair and metric, in the order given: good for putting many runs together."""
    return _typed(rows, METRIC_COLUMNS, further)


def summary_table(rows: Rows, measured: Measured) -> pd.DataFrame:
    """One row per hypothesis over all pairs, by layer and number of codes; `storage.summary` makes the rows."""
    order = ["composing_layer", "num_codes", "hypothesis"]
    return _typed(rows, measured.summary_columns, {}).sort_values(order, ignore_index=True)


def _typed(rows: Rows, columns: Mapping[str, str], further: Mapping[str, str] | None) -> pd.DataFrame:
    if further is None:
        seen = Further()
        seen.add(rows, columns)
        further = seen.columns(columns)
    table = pd.DataFrame.from_records(list(rows), columns=list(columns))
    table = table.astype(cast("dict[str, Any]", dict(columns)))
    for name, kind in further.items():
        make = float if kind == "float64" else str
        values = [row.get(name) for row in rows]
        plain = [None if value is None or value != value else make(value) for value in values]
        table[name] = pd.Series(plain, dtype=cast("Any", kind))
    return table


def _is_number(value: Any) -> bool:
    if value is None or isinstance(value, (int, float)):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
