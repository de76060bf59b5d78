"""Write docs/data.md from the tables of columns and arrays in the code: `python docs/make_data.py [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from made_page import write_or_check

from tasks.arrays import ARRAYS, OWN, PICTURES
from tasks.dictionary import Table, tables

PAGE = Path(__file__).with_name("data.md")

HEAD = """\
# Data: tables and arrays

<!-- Written by `python docs/make_data.py` from storage/columns.py, tasks/suites/ and tasks/arrays.py. -->

A run keeps tables for people and statistics, and arrays for whoever computes on. `pair_id` names a pair in all of
them, in `final/PAIR_ID.png`, and on the axis `pair` of every array.

```python
import pandas as pd
import xarray as xr

pairs = pd.read_parquet("runs/first/tables/pairs.parquet").set_index("pair_id")
warps = xr.open_zarr("runs/first/run.zarr", group="warp")
one = warps.warp.sel(pair=pairs.index[0]).values  # uint8 [S, S, 3]
loss = xr.open_zarr("runs/first/run.zarr", group="loss")
curves = loss["L05N10"].where(loss.finished.sel(hypothesis="L05N10"))
tree = xr.open_datatree("runs/first/run.zarr", engine="zarr")  # all of it; `pip install xarray`
```

## Tables
Columns, their order and their types are the same in every run, whatever its method: tables of many runs can be put
together by `pd.concat`. What was not measured is missing (`NaN`, `<NA>`). Types are pandas' names: `boolean`, `Int64`
and `string` know missing values. Parquet keeps them. A CSV file has nine digits of a number and an apostrophe before
texts that a spreadsheet would run; `tasks.dictionary.read_table("RUN/tables/pairs.csv")` gives the documented types
and texts.
"""

ZARR = """\
## Arrays
`RUN/run.zarr` is a Zarr of format 3 with consolidated metadata. Axis 0 of every array is the pair, in the order of
`index` in `pairs`. A name such as `loss/L05N10` is a group and a hypothesis. Each array has the attributes `long_name`,
`units` and, where it is bounded, `valid_range`.
"""

MORE = """\
`latents/L05N10` has the attribute `parts`, which says what lies where in a row:

```python
row = xr.open_zarr("runs/first/run.zarr", group="latents")["L05N10"].sel(pair=pair_id)
latents = {
    part["name"]: row.values[part["start"] : part["stop"]].reshape(part["rows"], part["columns"])
    for part in row.attrs["parts"]
}
```

Arrays of methods of other packages have the names that those give, and axes such as `codes_L05N10_1`.

**Coordinates.** `pair` in every group; `source` and `exemplar` (their files) in the root; `array`, in the group
`warp`, and `hypothesis`, in the others, name the columns of `finished`; `channel` is red, green, blue; `term` names
the terms of the fine-tuning's loss, `snapshot` is the step of a snapshot.

**What is finished.** `finished` [pair, array] of a group says whether a row holds what was published; in the root,
`finished` [pair] says whether the pair has a result. Rows of floats that were never written are NaN, those of pictures
are black. A row may be false for a while although it is done: `finished` follows when its block of 64 pairs is
complete, and at the end of a command; only then can other programs read the row at all. It is never true of a row that
is not done, also after `kill -9`: it is taken back before the row is. Only the markers in `done/` decide what `mgi`
itself computes.

**When a run grows**, coordinates and consolidated metadata change last, so a reader sees the run as it was, or as it
is. Runs that earlier versions began have no labels and keep none; `mgi pack` gives their copy some.

## One copy for object stores: `mgi pack`

```bash
mgi pack runs/first --to packed/first            # a folder: run.zarr/, tables/, run.json, packed.json
mgi pack runs/first --to first.zip               # one file, with what is in run.zarr at its root
mgi pack runs/first --to s3://bucket/first       # objects with the names of those files
```

Files are shards of up to 64 MiB, whose chunks of about 1 MiB can be read alone; the whole has consolidated metadata.
Every value is checked against the hash that was published with it, and read back as it was written; only then does the
copy get its name (at an address, what makes it readable is written last). `packed.json` lists every file with its
sha256. A run that is not finished, or that a command works on, is refused; `--partial` packs what is published by
then.

```python
xr.open_datatree("packed/first/run.zarr", engine="zarr")
xr.open_zarr(zarr.storage.ZipStore("first.zip", mode="r"), group="warp")
xr.open_zarr("s3://bucket/first/run.zarr", group="warp")  # `pip install s3fs`
```
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for whose, found in tables().items():
        parts += [_table(table, whose) for table in found]
    return "\n".join([*parts, ZARR, _arrays(), MORE])


def _table(table: Table, whose: str) -> str:
    lines = [
        f"### `tables/{table.name}` of {whose}",
        f"A row is {table.row}.",
        "",
        "| column | type | unit | meaning |",
    ]
    lines.append("|---|---|---|---|")
    for name, column in table.columns.items():
        lines.append(f"| `{name}` | `{column.dtype}` | {column.unit} | {column.said} |")
    return "\n".join(lines) + "\n"


def _arrays() -> str:
    lines = ["| array | axes after `pair` | type | unit | values | meaning |", "|---|---|---|---|---|---|"]
    for name, meaning in ARRAYS.items():
        full = name if name.startswith(f"{PICTURES}/") else f"{name}/HYPOTHESIS"
        dims = ", ".join(dim.removesuffix(OWN) for dim in meaning.dims)
        values = " to ".join(map(str, meaning.range)) if meaning.range else ""
        unit = "" if meaning.unit == "1" else meaning.unit
        lines.append(f"| `{full}` | {dims} | {meaning.dtype} | {unit} | {values} | {meaning.said} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(), Path(__file__).name, sys.argv[1:]))
