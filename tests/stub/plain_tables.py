"""The tables of a run made of all its rows at once, by pandas alone: what files written block by block must equal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from storage.atomic import write_bytes
from storage.cells import harmless
from storage.tables import MEASURE_COLUMNS, METRIC_COLUMNS, Measured, measures_of


def plain_tables(
    pairs: list[dict[str, Any]], lanes: list[dict[str, Any]], metrics: list[dict[str, Any]], measured: Measured
) -> dict[str, pd.DataFrame]:
    """{name: table} of a run's rows."""
    table = _typed(lanes, measured.hypothesis_columns)
    for flag in ("selected", "guarded", "halved"):
        table[flag] = table[flag].fillna(False)
    return {
        "hypotheses": table,
        "pairs": _typed(pairs, measured.pair_columns),
        "metrics": _typed(metrics, METRIC_COLUMNS),
        "measures": _typed(measures_of(pairs, lanes, metrics, measured), MEASURE_COLUMNS),
        "summary": _summary(table, measured),
    }


def write_plain(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Every table as `folder/NAME.parquet` and `folder/NAME.csv`."""
    for name, table in tables.items():
        parquet = io.BytesIO()
        table.to_parquet(parquet, index=False, compression="zstd")
        write_bytes(folder / f"{name}.parquet", parquet.getvalue())
        csv = _harmless(table).to_csv(index=False, lineterminator="\n", float_format="%.9g")
        write_bytes(folder / f"{name}.csv", csv.encode("utf-8"))


def _summary(hypotheses: pd.DataFrame, measured: Measured) -> pd.DataFrame:
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


def _harmless(table: pd.DataFrame) -> pd.DataFrame:
    def cell(text: str) -> str:
        return harmless(text).replace("\r", " ")

    texts = {name: table[name].map(cell, na_action="ignore") for name, kind in table.dtypes.items() if kind == "string"}
    return table.assign(**texts)


def _typed(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    records = [{name: None if row.get(name) == "" else row.get(name) for name in columns} for row in rows]
    return pd.DataFrame.from_records(records, columns=list(columns)).astype(dict(columns))
