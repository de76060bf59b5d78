"""The three tables of a run (hypotheses, pairs, summary) from plain rows, as Parquet for programs and CSV for people.

Columns keep their place and their type whatever a run measured: the known ones first, in reading order, then any other
measure by name. A value that a row lacks is missing (NaN, <NA>), never an absent column, so the tables of two runs can
always be concatenated.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd

from storage.atomic import write_bytes

RULES = ("spatial-fd", "sifid", "set-fid", "paper")
"""Columns that hold a distance: lower is better."""

HYPOTHESIS_COLUMNS: dict[str, str] = {
    "pair_id": "string",
    "hypothesis": "string",
    "composing_layer": "Int64",
    "num_codes": "Int64",
    "selected": "boolean",
    "guarded": "boolean",
    "halved": "boolean",
    "failed": "string",
    **dict.fromkeys(RULES, "float64"),
    **dict.fromkeys(("steps", "loss", "l2_before", "l2_after", "vgg_before", "vgg_after", "seconds"), "float64"),
}

PAIR_COLUMNS: dict[str, str] = {
    "index": "Int64",
    "pair_id": "string",
    "source": "string",
    "exemplar": "string",
    "state": "string",
    "hypothesis": "string",
    "rule": "string",
    "value": "float64",
    "seconds": "float64",
    "warp_method": "string",
    "oeft_seconds": "float64",
    "stage": "string",
    "reason": "string",
}

SUMMARY_COLUMNS: dict[str, str] = {
    "hypothesis": "string",
    "composing_layer": "Int64",
    "num_codes": "Int64",
    "lanes": "Int64",
    "wins": "Int64",
    "guarded": "Int64",
    "failed": "Int64",
    **{f"mean {rule}": "float64" for rule in RULES},
    "mean loss": "float64",
    "mean l2_after": "float64",
    "mean seconds": "float64",
    "total seconds": "float64",
}


def hypotheses_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per lane (pair and hypothesis), in the order given.

    Args:
        rows: mappings with `pair_id` and `hypothesis` at least; `HYPOTHESIS_COLUMNS` lists the other known keys
            (`failed` is a reason or None). Further keys become columns of numbers where they are numbers.
    """
    table = _typed(rows, HYPOTHESIS_COLUMNS)
    for flag in ("selected", "guarded", "halved"):
        table[flag] = table[flag].fillna(False)
    return table


def pairs_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per pair, in the order given: `state` is done, quarantined or pending, and what was chosen or why not."""
    return _typed(rows, PAIR_COLUMNS)


def summary_table(hypotheses: pd.DataFrame) -> pd.DataFrame:
    """One row per hypothesis over all pairs: how often it won, and its mean distances, loss and time.

    Means leave out lanes that failed (their values are missing), so read them beside the count in `failed`.
    """
    if hypotheses.empty:
        return _typed([], SUMMARY_COLUMNS)
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
                **{f"mean {column}": lanes[column].mean() for column in (*RULES, "loss", "l2_after", "seconds")},
                "total seconds": lanes["seconds"].sum(),
            }
        )
    order = ["composing_layer", "num_codes", "hypothesis"]
    return _typed(rows, SUMMARY_COLUMNS).sort_values(order, ignore_index=True)


def write_tables(folder: str | Path, **tables: pd.DataFrame) -> list[Path]:
    """Write every table as `folder/NAME.parquet` and `folder/NAME.csv`, each file whole or not at all.

    The bytes depend on the values alone, and a file that would not change is not written again.
    """
    written = []
    for name, table in tables.items():
        parquet = io.BytesIO()
        table.to_parquet(parquet, index=False, compression="zstd")
        csv = table.to_csv(index=False, lineterminator="\n", float_format="%.9g")
        for suffix, data in ((".parquet", parquet.getvalue()), (".csv", csv.encode("utf-8"))):
            path = Path(folder) / f"{name}{suffix}"
            write_bytes(path, data)
            written.append(path)
    return written


def _typed(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    records = [dict(row) for row in rows]
    more = sorted({key for record in records for key in record} - set(columns))
    table = pd.DataFrame.from_records(records, columns=[*columns, *more])
    table = table.astype(cast("dict[str, Any]", dict(columns)))
    for name in more:
        table[name] = _measure(table[name])
    return table


def _measure(values: pd.Series) -> pd.Series:
    """Numbers as float64 so that a missing one is NaN whichever rows have it; anything else as text."""
    try:
        return values.astype("float64")
    except (TypeError, ValueError):
        return values.map(lambda value: pd.NA if pd.isna(value) else str(value)).astype("string")
