"""RUN/plan.parquet: the pairs of a run, in their order.

A run that grew also says which change added each pair. Rows of a change that run.json does not know come from a growth
that was killed: the run is still the old one.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from storage.atomic import write_bytes
from storage.run_header import NoRun

if TYPE_CHECKING:
    import pandas as pd


CHANGE = "change"
"""The column that a grown run has as well."""
PLAN = "plan.parquet"
Known: TypeAlias = Mapping[str, str] | None


def write(path: Path, pairs: pd.DataFrame) -> None:
    """Write the table; columns `index`, `id`, `source`, `exemplar`."""
    table = io.BytesIO()
    pairs.to_parquet(table, index=False)
    write_bytes(path, table.getvalue())


def read(path: Path, changes: int, known: Known = None) -> pd.DataFrame:
    """The pairs that came with the first `changes` changes or before.

    Args:
        path: the file.
        changes: how many changes the header has.
        known: the digests of `digests` when the plan was written; None: a version that kept none wrote it.

    Raises:
        NoRun: the file cannot be read, or is not what was written.
    """
    plan = _rows(path, changes)
    if known and _sha256(path) != known["sha256"] and _digest_of(plan) != known["rows"]:  # a killed growth adds rows
        raise _unreadable(path)
    return plan


def read_ids(path: Path, changes: int, known: Known = None) -> list[str]:
    """The column `id` of `read`, without pandas, whose import takes as long as all of `mgi status`. Raises NoRun."""
    if known and _sha256(path) != known["sha256"]:
        return [str(pair_id) for pair_id in read(path, changes, known)["id"]]
    from pyarrow.parquet import ParquetFile  # read_table would import pandas

    try:
        with ParquetFile(path) as table:
            wanted = [name for name in ("id", CHANGE) if name in table.schema_arrow.names]
            columns = table.read(columns=wanted).to_pydict()
    except (OSError, ValueError):  # pyarrow's error of a damaged file is a ValueError
        raise _unreadable(path) from None
    came = columns.get(CHANGE) or [0] * len(columns["id"])
    return [str(pair_id) for pair_id, change in zip(columns["id"], came, strict=True) if change <= changes]


def digests(path: Path, changes: int) -> dict[str, str]:
    """sha256 of the file, and of its pairs of the first `changes` changes alone."""
    return {"sha256": _sha256(path), "rows": _digest_of(_rows(path, changes))}


def is_whole(path: Path, changes: int, known: Known) -> bool:
    """Whether a file that `read` takes is the one that was written, or one with more pairs by a growth that was killed.

    What else may differ gives the same pairs: a changed bit in the description of a column, for instance.
    """
    if not known or _sha256(path) == known["sha256"]:
        return True
    import pandas as pd

    plan = pd.read_parquet(path)
    return CHANGE in plan and bool((plan[CHANGE] > changes).any())


def _rows(path: Path, changes: int) -> pd.DataFrame:
    import pandas as pd

    try:
        plan = pd.read_parquet(path)
        return plan[plan[CHANGE] <= changes].drop(columns=CHANGE) if CHANGE in plan else plan
    except (OSError, ValueError, TypeError):
        raise _unreadable(path) from None


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise _unreadable(path) from None


def _digest_of(plan: pd.DataFrame) -> str:
    rows = [list(map(str, row)) for row in plan.itertuples(index=False)]
    return hashlib.sha256(json.dumps([list(plan.columns), *rows]).encode()).hexdigest()


def _unreadable(path: Path) -> NoRun:
    return NoRun(f"{path} is gone or damaged; bring it back from a copy or start again in another folder")
