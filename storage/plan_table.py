"""RUN/plan.parquet: the pairs of a run, in their order.

A run that grew also says which change added each pair. Rows of a change that run.json does not know come from a growth
that was killed: the run is still the old one.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from storage.atomic import write_bytes
from storage.run_header import NoRun

if TYPE_CHECKING:
    import pandas as pd


CHANGE = "change"
"""The column that a grown run has as well."""


def write(path: Path, pairs: pd.DataFrame) -> None:
    """Write the table; columns `index`, `id`, `source`, `exemplar`."""
    table = io.BytesIO()
    pairs.to_parquet(table, index=False)
    write_bytes(path, table.getvalue())


def read(path: Path, changes: int) -> pd.DataFrame:
    """The pairs that came with the first `changes` changes or before. Raises NoRun if the file cannot be read."""
    import pandas as pd

    try:
        plan = pd.read_parquet(path)
    except (OSError, ValueError):
        raise _unreadable(path) from None
    return plan[plan[CHANGE] <= changes].drop(columns=CHANGE) if CHANGE in plan else plan


def read_ids(path: Path, changes: int) -> list[str]:
    """The column `id` of `read`, without pandas, whose import takes as long as all of `mgi status`. Raises NoRun."""
    from pyarrow.parquet import ParquetFile  # read_table would import pandas

    try:
        with ParquetFile(path) as table:
            wanted = [name for name in ("id", CHANGE) if name in table.schema_arrow.names]
            columns = table.read(columns=wanted).to_pydict()
    except (OSError, ValueError):  # pyarrow's error of a damaged file is a ValueError
        raise _unreadable(path) from None
    came = columns.get(CHANGE) or [0] * len(columns["id"])
    return [str(pair_id) for pair_id, change in zip(columns["id"], came, strict=True) if change <= changes]


def _unreadable(path: Path) -> NoRun:
    return NoRun(f"{path} cannot be read; start again in another folder")
