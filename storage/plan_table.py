"""RUN/plan.parquet: the pairs of a run, in their order."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from storage.atomic import write_bytes
from storage.run_header import NoRun

if TYPE_CHECKING:
    import pandas as pd


def write(path: Path, pairs: pd.DataFrame) -> None:
    """Write the table; columns `index`, `id`, `source`, `exemplar`."""
    table = io.BytesIO()
    pairs.to_parquet(table, index=False)
    write_bytes(path, table.getvalue())


def read(path: Path) -> pd.DataFrame:
    """The table at `path`. Raises NoRun where it cannot be read."""
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        raise _unreadable(path) from None


def read_ids(path: Path) -> list[str]:
    """The column `id` alone, without pandas, whose import takes as long as all of `mgi status`. Raises NoRun."""
    from pyarrow.parquet import ParquetFile  # read_table would import pandas

    try:
        with ParquetFile(path) as table:
            return [str(pair_id) for pair_id in table.read(columns=["id"])["id"].to_pylist()]
    except (OSError, ValueError):  # pyarrow's error of a damaged file is a ValueError
        raise _unreadable(path) from None


def _unreadable(path: Path) -> NoRun:
    return NoRun(f"{path} cannot be read; start again in another folder")
