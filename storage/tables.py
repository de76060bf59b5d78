"""The tables of a run (hypotheses, pairs, summary, metrics) from plain rows: Parquet for programs, CSV for people.

Columns keep their place and type, whatever a run measured: the known ones first, in reading order, then any other
measure by name. A value that a row lacks is missing (NaN, <NA>), never an absent column, so the tables of two runs can
always be concatenated. The caller says which metrics there are.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from storage.atomic import write_bytes
from storage.cells import harmless


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
            **dict.fromkeys((*self.rules, "steps", "loss", *lanes, "seconds"), "float64"),
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
    "method": "string",
    "hypothesis": "string",
    "rule": "string",
    "value": "float64",
    "seconds": "float64",
    "warp_method": "string",
    "oeft_seconds": "float64",
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


def hypotheses_table(rows: Iterable[Mapping[str, Any]], measured: Measured) -> pd.DataFrame:
    """One row per lane (pair and hypothesis), in the order given.

    Args:
        rows: mappings with `pair_id` and `hypothesis` at least; `Measured.hypothesis_columns` lists the other known
            keys (`failed` is a reason or None). Further keys become columns if they are numbers.
        measured: which metrics have columns.
    """
    table = _typed(rows, measured.hypothesis_columns)
    for flag in ("selected", "guarded", "halved"):
        table[flag] = table[flag].fillna(False)
    return table


def pairs_table(rows: Iterable[Mapping[str, Any]], measured: Measured) -> pd.DataFrame:
    """One row per pair, in the order given: its state (done, quarantined or pending), its choice, its metrics."""
    return _typed(rows, measured.pair_columns)


def metrics_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per pair and metric, in the order given: good for putting many runs together."""
    return _typed(rows, METRIC_COLUMNS)


def summary_table(hypotheses: pd.DataFrame, measured: Measured) -> pd.DataFrame:
    """One row per hypothesis over all pairs: how often it won, and its mean distances, loss and time.

    Means leave out lanes that failed (their values are missing), so read them together with the count in `failed`.
    """
    if hypotheses.empty:
        return _typed([], measured.summary_columns)
    rows = []
    for name, lanes in hypotheses.groupby("hypothesis", sort=False):
        rows.append(
            {
                "hypothesis": name,
                "composing_layer": lanes["composing_layer"].iloc[0],
                "num_codes": lanes["num_codes"].iloc[0],
                "lanes": len(lanes),
                "wins": int(lanes["selected"].sum()),
                "guarded": int(lanes["guarded"].sum()),
                "failed": int(lanes["failed"].notna().sum()),
                **{f"mean {column}": lanes[column].mean() for column in measured.means},
                "total seconds": lanes["seconds"].sum(),
            }
        )
    order = ["composing_layer", "num_codes", "hypothesis"]
    return _typed(rows, measured.summary_columns).sort_values(order, ignore_index=True)


def write_tables(folder: str | Path, **tables: pd.DataFrame) -> list[Path]:
    """Write every table as `folder/NAME.parquet` and `folder/NAME.csv`, each file whole or not at all.

    The bytes depend on the values alone, and a file that would not change is not written again. No text of a CSV file
    is a formula, see `storage.cells`.
    """
    written = []
    for name, table in tables.items():
        parquet = io.BytesIO()
        table.to_parquet(parquet, index=False, compression="zstd")
        csv = _harmless(table).to_csv(index=False, lineterminator="\n", float_format="%.9g")
        for suffix, data in ((".parquet", parquet.getvalue()), (".csv", csv.encode("utf-8"))):
            path = Path(folder) / f"{name}{suffix}"
            write_bytes(path, data)
            written.append(path)
    return written


def _harmless(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts, names of columns included, no spreadsheet runs."""

    def cell(text: str) -> str:
        return harmless(text).replace("\r", " ")  # which the writer would leave bare, as the end of a row

    named = table.rename(columns=cell)
    for name, kind in named.dtypes.items():
        if kind == "string":
            named[name] = named[name].map(cell, na_action="ignore")
    return named


def _typed(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    records = [dict(row) for row in rows]
    more = sorted({key for record in records for key in record} - set(columns))
    table = pd.DataFrame.from_records(records, columns=[*columns, *more])
    table = table.astype(cast("dict[str, Any]", dict(columns)))
    for name in more:
        table[name] = _measure(table[name])
    return table


def _measure(values: pd.Series) -> pd.Series:
    """Numbers as float64 so a missing one is NaN in any row; anything else as text."""
    try:
        return values.astype("float64")
    except (TypeError, ValueError):
        return values.map(lambda value: pd.NA if pd.isna(value) else str(value)).astype("string")
