"""The report of a run of any size: markers are read once, tables written block by block, in memory that stays."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
import pytest
from made_up_run import MadeUpRun
from plain_tables import plain_tables, write_plain

from storage import summary, table_files
from tasks.report import overview
from tasks.report.columns import MEASURED
from tasks.report.rows import BLOCK, Block, read_blocks
from tasks.report.tables import write_tables

NAMES = ("hypotheses", "measures", "metrics", "pairs", "summary")


def whole(run: MadeUpRun) -> Block:
    rows = Block()
    for block in read_blocks(run, run.config):
        rows.pairs.extend(block.pairs)
        rows.lanes.extend(block.lanes)
        rows.metrics.extend(block.metrics)
    return rows


@pytest.mark.parametrize("pairs", [0, 1, BLOCK, 3 * BLOCK + 40])
def test_files_are_those_of_whole_tables_byte_for_byte(tmp_path: Path, pairs: int) -> None:
    run = MadeUpRun(tmp_path, pairs, 3, odd=True)
    write_tables(run, run.config)
    rows = whole(run)
    write_plain(tmp_path / "plain", plain_tables(rows.pairs, rows.lanes, rows.metrics, MEASURED))
    for name in (f"{name}{suffix}" for name in NAMES for suffix in (".csv", ".parquet")):
        assert (tmp_path / "tables" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "tables"]


def test_what_has_no_column_is_in_the_table_of_measures_and_small_pieces_give_the_same_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = MadeUpRun(tmp_path, 300, 3, odd=True)
    monkeypatch.setattr(table_files, "GROUP", 100)
    monkeypatch.setattr(summary, "LEAF", 16)
    _, means = write_tables(run, run.config)
    rows = whole(run)
    plain = plain_tables(rows.pairs, rows.lanes, rows.metrics, MEASURED)
    measures = plain["measures"]
    assert set(measures["measure"]) == {"restarts", "=extra", "true_l2", "mixed", "aligned"}
    mixed = measures[measures["measure"] == "mixed"].set_index("pair_id")
    assert mixed.loc["pair-000150", "text"] == "late" and mixed.loc["pair-000149", "value"] == 149
    assert measures[measures["measure"] == "true_l2"]["hypothesis"].notna().all() and mixed["hypothesis"].isna().all()
    for name in ("hypotheses", "measures", "metrics", "pairs"):
        path = tmp_path / "tables" / f"{name}.parquet"
        pd.testing.assert_frame_equal(pd.read_parquet(path), plain[name])
        file = pyarrow.parquet.ParquetFile(path)
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        assert set(groups[:-1]) == {100} and sum(groups) == len(plain[name])
    pd.testing.assert_frame_equal(means, plain["summary"], rtol=1e-12, atol=0)


def test_what_the_page_shows_is_counted_over_all_and_cut_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "APART", 2)
    run = MadeUpRun(tmp_path, 400, 2, odd=True)
    found, _ = write_tables(run, run.config)
    rows = whole(run)
    states = [pair["state"] for pair in rows.pairs]
    assert found.states == {name: states.count(name) for name in ("done", "quarantined", "pending")}
    assert found.lane_count == len(rows.lanes)
    assert len(found.quarantined) == 2 < found.states["quarantined"]
    for column in found.metrics.shown():
        values = [row["value"] for row in rows.metrics if row["metric"] == column["name"]]
        there = [value for value in values if value is not None]
        assert (column["count"], column["failed"]) == (len(there), len(values) - len(there))
        assert (column["low"], column["high"]) == (min(there), max(there))
        assert column["mean"] == pytest.approx(sum(there) / len(there), rel=1e-12)


class Counted(MadeUpRun):
    """Keeps which markers were read, in which order."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.reads: list[tuple[str, str]] = []

    def payload(self, stage: str, key: str) -> dict[str, Any] | None:
        self.reads.append((stage, key.partition(".")[0]))
        return super().payload(stage, key)


def test_every_marker_is_read_once_in_the_order_of_the_plan_stage_by_stage(tmp_path: Path) -> None:
    run = Counted(tmp_path, BLOCK + 5, 3)
    write_tables(run, run.config)
    units = {"warp": 1, "invert": 3, "score": 1, "select": 1, "evaluate": 3}
    ids = run.pair_ids()
    blocks = [ids[:BLOCK], ids[BLOCK:]]
    assert run.reads == [(s, id) for block in blocks for s, n in units.items() for id in block for _ in range(n)]


@pytest.mark.slow
def test_memory_does_not_follow_the_number_of_pairs(tmp_path: Path) -> None:
    write_tables(run := MadeUpRun(tmp_path, 2, 2), run.config)  # what is imported and cached at the first call
    small, large = (peak(tmp_path, pairs) for pairs in (2 * BLOCK, 8 * BLOCK))
    assert large < 1.5 * small


def peak(folder: Path, pairs: int) -> int:
    """Bytes that Python and NumPy held at most while tables were written."""
    run = MadeUpRun(folder / str(pairs), pairs, 2)
    run.path.mkdir()
    tracemalloc.start()
    write_tables(run, run.config)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most
