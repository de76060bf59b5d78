"""Tables as files, Parquet for programs and CSV for people, written block by block so that no table need fit in memory.

The bytes depend on the values alone, a file that would not change is not written again, and each is whole or not there.
No text of a CSV file is a formula, see `storage.cells`.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import pandas as pd
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from storage.atomic import writing
from storage.cells import harmless

GROUP = 1 << 16
"""Rows of a Parquet file that are held until they are written together, however large the blocks are."""

Add: TypeAlias = Callable[[pd.DataFrame], None]


@contextlib.contextmanager
def table_files(folder: str | Path, name: str, empty: pd.DataFrame) -> Iterator[Add]:
    """Write `folder/NAME.parquet` and `folder/NAME.csv`; yields what takes their rows, block by block.

    Args:
        folder: made if it is not there.
        name: of both files.
        empty: the table without rows; blocks have the same columns and types.

    Raises:
        OSError: as the operating system reports it; what was there before stays.
    """
    with writing(Path(folder, f"{name}.parquet")) as parquet, writing(Path(folder, f"{name}.csv")) as text:
        _write_csv(text, empty, header=True)
        with _Groups(parquet, pa.Schema.from_pandas(empty, preserve_index=False)) as groups:

            def add(block: pd.DataFrame) -> None:
                _write_csv(text, block, header=False)
                groups.add(block)

            yield add


def write_table(folder: str | Path, name: str, table: pd.DataFrame) -> None:
    """Write a table that is small enough to be one block."""
    with table_files(folder, name, table.iloc[:0]) as add:
        add(table)


class _Groups:
    """A Parquet file whose groups of rows do not follow the blocks that it is given."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = ParquetWriter(file, schema, compression="zstd")
        self._held: list[pa.Table] = [schema.empty_table()]
        self._rows, self._groups = 0, 0

    def __enter__(self) -> _Groups:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed is None and (self._rows or not self._groups):  # a table without rows has a group without rows
            self._write(pa.concat_tables(self._held))
        self._writer.close()

    def add(self, block: pd.DataFrame) -> None:
        self._held.append(pa.Table.from_pandas(block, schema=self._schema, preserve_index=False))
        self._rows += len(block)
        while self._rows >= GROUP:
            rows = pa.concat_tables(self._held)
            self._write(rows.slice(0, GROUP))
            self._held, self._rows = [rows.slice(GROUP)], self._rows - GROUP

    def _write(self, group: pa.Table) -> None:
        self._writer.write_table(group.combine_chunks(), row_group_size=GROUP)
        self._groups += 1


def _write_csv(file: BinaryIO, block: pd.DataFrame, *, header: bool) -> None:
    """Append rows; `DataFrame.to_csv` with `float_format="%.9g"` writes the same, in three times the time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(map(_cell, block.columns))
    writer.writerows(zip(*(_cells(block[name]) for name in block), strict=True))
    file.write(text.getvalue().encode("utf-8"))


def _cells(column: pd.Series) -> list[str]:
    values = column.tolist()
    if column.dtype == "float64":
        return ["" if value != value else f"{value:.9g}" for value in values]
    texts = {value: "" if value is pd.NA or value != value else _cell(str(value)) for value in set(values)}
    return [texts[value] for value in values]


def _cell(text: str) -> str:
    """A text that no spreadsheet runs."""
    return harmless(text).replace("\r", " ")  # which the writer would leave bare, as the end of a row
