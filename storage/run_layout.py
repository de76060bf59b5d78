"""Digests of a run's plan and of its arrays' descriptions, kept in the sealed header.

    {"plan.parquet": {"sha256": ..., "rows": ...},
     "run.zarr/loss/L05N10/zarr.json": {"sha256": ..., "shape": [5], "dtype": "float32",
                                        "dims": ["step"], "attributes": {...}}, ...}

A growth that is killed leaves arrays with more rows and a plan with more pairs. That is no damage: the number of rows
is in no digest, and neither are pairs of later changes in `rows`. Runs of earlier versions have no digests, or arrays
without names of axes: such a run stays without labels (`storage.labels`), and its groups have digests as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from storage.array_spec import ArraySpec
from storage.atomic import write_bytes
from storage.plan_table import PLAN, digests

LAYOUT = "layout"
"""Entry of the header."""
ARRAYS = "run.zarr"
DESCRIPTION = "zarr.json"
"""The file in which zarr keeps what an array or a group is."""


def layout_of(run: Path, changes: int, arrays: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """The layout of a run as its files are now, with the pairs of the first `changes` changes.

    Args:
        run: its folder.
        changes: how many changes its header will have.
        arrays: names of its arrays; None: of a run without labels, whatever there is, groups included.
    """
    found: dict[str, dict[str, Any]] = {PLAN: {**digests(run / PLAN, changes)}}
    for path in description_files(run, arrays):
        found[path.relative_to(run).as_posix()] = _entry(path.read_bytes())
    return found


def description_files(run: Path, arrays: Iterable[str] | None) -> list[Path]:
    """The zarr.json of these arrays; None: of all arrays and groups."""
    if arrays is not None:
        return [run / ARRAYS / name / DESCRIPTION for name in sorted(arrays)]
    return [path for depth in ("", "*/", "*/*/") for path in sorted((run / ARRAYS).glob(depth + DESCRIPTION))]


def array_names(layout: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the arrays of a layout, such as `loss/L05N10`, sorted."""
    ends = len(ARRAYS) + 1, -len(DESCRIPTION) - 1
    return sorted(name[slice(*ends)] for name, entry in layout.items() if "dtype" in entry)


def spec_of(entry: Mapping[str, Any]) -> ArraySpec:
    """What an array holds, from its entry in the layout."""
    dims = entry.get("dims")
    names = None if dims is None else tuple(dims)
    return ArraySpec(tuple(entry["shape"]), entry["dtype"], names, entry.get("attributes"))


def specs_of(layout: Mapping[str, Mapping[str, Any]]) -> dict[str, ArraySpec]:
    """{name: what it holds} of all arrays, sorted by name."""
    return {name: spec_of(layout[f"{ARRAYS}/{name}/{DESCRIPTION}"]) for name in array_names(layout)}


def is_labelled(layout: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the axes of a run's arrays have names."""
    return any("dims" in entry for entry in layout.values())


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

    whole = array_metadata(rows, spec_of(known), block) if "dtype" in known else group_metadata()
    write_bytes(path, whole)


def _entry(data: bytes, rows: int = 0) -> dict[str, Any]:
    """Entry of a zarr.json in the layout. Raises ValueError, LookupError or TypeError: it is none or too short."""
    content, about = json.loads(data), {}
    if content["node_type"] == "array":
        about = {"shape": content["shape"][1:], "dtype": content["data_type"]}
        if dims := content.get("dimension_names"):
            about |= {"dims": dims[1:], "attributes": content["attributes"]}
        if content.pop("shape")[0] < rows:
            raise ValueError("too few rows")
    return {"sha256": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(), **about}
