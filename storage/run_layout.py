"""Digests of a run's plan and of its arrays' descriptions, kept in the sealed header.

    {"plan.parquet": {"sha256": ..., "rows": ...},
     "run.zarr/loss/L05N10/zarr.json": {"sha256": ..., "shape": [5], "dtype": "float32"}, ...}

A growth that is killed leaves arrays with more rows and a plan with more pairs. That is no damage: the number of rows
is in no digest, and neither are pairs of later changes in `rows`. Runs of earlier versions have no digests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.atomic import write_bytes
from storage.plan_table import PLAN, digests

LAYOUT = "layout"
"""Entry of the header."""
ARRAYS = "run.zarr"


def layout_of(run: Path, changes: int) -> dict[str, dict[str, Any]]:
    """The layout of a run as its files are now, with the pairs of the first `changes` changes."""
    found: dict[str, dict[str, Any]] = {PLAN: {**digests(run / PLAN, changes)}}
    for pattern in ("zarr.json", "*/zarr.json", "*/*/zarr.json"):  # rglob would list every chunk
        for path in sorted((run / ARRAYS).glob(pattern)):
            found[path.relative_to(run).as_posix()] = _entry(path.read_bytes())
    return found


def check_metadata(path: Path, known: Mapping[str, Any], rows: int = 0) -> str | None:
    """What is wrong with a zarr.json, in a few words, or None.

    Args:
        path: the file.
        known: its entry in the layout.
        rows: how many rows an array must have at least.
    """
    try:
        found = _entry(path.read_bytes(), rows)
    except FileNotFoundError:
        return "is gone"
    except (ValueError, LookupError, TypeError):
        return "is damaged"
    return None if found == known else "is not what was written"


def write_metadata(path: Path, known: Mapping[str, Any], rows: int, block: int | None) -> None:
    """Write a zarr.json again from its entry in the layout, for an array of so many rows in blocks of `block`."""
    from storage.chunks import array_metadata, group_metadata

    whole = array_metadata(rows, tuple(known["shape"]), known["dtype"], block) if "dtype" in known else group_metadata()
    write_bytes(path, whole)


def _entry(data: bytes, rows: int = 0) -> dict[str, Any]:
    """Entry of a zarr.json in the layout. Raises ValueError, LookupError or TypeError: it is none or too short."""
    content, about = json.loads(data), {}
    if content["node_type"] == "array":
        about = {"shape": content["shape"][1:], "dtype": content["data_type"]}
        if content.pop("shape")[0] < rows:
            raise ValueError("too few rows")
    return {"sha256": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(), **about}
