"""The tables that runs and evaluations leave, column by column, and how to read one back; docs/data.md prints it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mgi.config import RULES, ConfigError
from mgi.metrics.registry import PAIR_METRICS
from mgi.translators.needs import LANE_METRICS
from storage.cells import original
from storage.columns import COUNTS, HYPOTHESES, MEASURES, METRICS, PAIRS, SEARCH, TOTAL, TRUTH, Column, dtypes
from storage.tables import Measured
from tasks.suites.frame import EVALUATION
from tasks.suites.summary import MEANS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table: its file's name without the ending, what a row is, and its columns."""

    name: str
    row: str
    columns: Mapping[str, Column]


def tables() -> dict[str, list[Table]]:
    """{whose: its tables, in reading order}."""
    return {
        "a run": [
            Table("pairs", "a pair", pair_columns()),
            Table("hypotheses", "a pair and a hypothesis that was inverted", hypothesis_columns()),
            Table("metrics", "a pair and a metric of its result", METRICS),
            Table("measures", "what else a method says of a pair or a hypothesis", MEASURES),
            Table("summary", "a hypothesis, over all pairs", summary_columns()),
        ],
        "an evaluation": [
            Table("evaluation", "a method, a metric and a pair; or a whole set; or a published number", EVALUATION),
            Table("summary", "a method and a metric", MEANS),
        ],
    }


def pair_columns() -> dict[str, Column]:
    """Columns of the table of pairs."""
    return {**PAIRS, **{name: Column("float64", f"metric `{name}` of the result") for name in PAIR_METRICS}}


def hypothesis_columns() -> dict[str, Column]:
    """Columns of the table of hypotheses."""
    rules = {str(rule): Column("float64", f"distance by the rule `{rule}`; lower is better") for rule in RULES}
    lanes = {
        f"{name}_{when}": Column("float64", f"metric `{name}` to the warp, {when} the optimisation")
        for name in LANE_METRICS
        for when in ("before", "after")
    }
    return {**HYPOTHESES, **rules, **SEARCH, **lanes, **TRUTH, "seconds": Column("float64", "work on it", "s")}


def summary_columns() -> dict[str, Column]:
    """Columns of the table of hypotheses over all pairs."""
    known, names = hypothesis_columns(), Measured(RULES, LANE_METRICS).means
    means = {f"mean {name}": Column("float64", f"mean of `{name}` in `hypotheses`", known[name].unit) for name in names}
    return {**COUNTS, **means, **TOTAL}


def read_table(path: str | Path) -> pd.DataFrame:
    """A table of a run or an evaluation with its documented types, from Parquet or CSV.

    CSV has nine digits of a number, and the apostrophe that keeps a spreadsheet from running a text is taken off.

    Args:
        path: such as `RUN/tables/pairs.csv`.

    Raises:
        ConfigError: it is none of them. OSError: it cannot be read.
    """
    import pandas as pd

    file = Path(path)
    if file.suffix == ".parquet":
        return pd.read_parquet(file)
    with file.open(encoding="utf-8", newline="") as text:
        head = next(csv.reader(text), [])
    found = [t for of in tables().values() for t in of if t.name == file.stem and list(t.columns) == head]
    if not found:
        raise ConfigError(f"{path}: expected a table of this version's runs or evaluations; `mgi report RUN` makes it")
    types = dtypes(found[0].columns)
    table = pd.read_csv(file, dtype=cast("Any", types), keep_default_na=False, na_values=[""])
    for name, kind in types.items():
        if kind == "string":
            table[name] = table[name].map(original, na_action="ignore").astype("string")
    return table
