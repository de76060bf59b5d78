"""docs/data.md is what the code says, and tables and arrays of runs are what docs/data.md says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from damaged import make_run, mgi
from PIL import Image
from places import ROOT
from report_run import PAIRS, create, fill, small_config
from runs import make_inputs

from mgi.config import ConfigError
from mgi.metrics.base import PairMetric
from mgi.metrics.registry import OURS, PAIR_METRICS, metric
from storage.columns import dtypes
from storage.packed import run_specs
from storage.run_store import RunStore
from tasks.arrays import ARRAYS, apart, lane_specs, parts_of
from tasks.dictionary import read_table, tables
from tasks.report.tables import write_tables
from tasks.suites.frame import frame_of
from tasks.suites.summary import summarise

PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def check_tables(folder: Path, whose: str) -> None:
    """Columns, order and types are those of the dictionary, and CSV gives the same as Parquet."""
    known = {table.name: dtypes(table.columns) for table in tables()[whose]}
    assert {path.stem for path in folder.glob("*.csv")} == known.keys()
    for name, types in known.items():
        found = pd.read_parquet(folder / f"{name}.parquet")
        assert dict(found.dtypes.astype(str)) == types and list(found) == list(types), name
        pd.testing.assert_frame_equal(read_table(folder / f"{name}.csv"), found, rtol=1e-8)
        pd.testing.assert_frame_equal(read_table(folder / f"{name}.parquet"), found)


def test_the_page_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "make_data.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_column_and_array_is_on_the_page_with_a_meaning() -> None:
    for found in tables().values():
        for table in found:
            for name, column in table.columns.items():
                assert f"| `{name}` | `{column.dtype}` | {column.unit} | {column.said} |" in PAGE and column.said
    assert all(f"| `{name}" in PAGE and meaning.said for name, meaning in ARRAYS.items())


def test_metrics_of_pairs_are_those_that_are_listed() -> None:
    assert tuple(name for name in OURS if isinstance(metric(name), PairMetric)) == PAIR_METRICS


def test_tables_of_any_run_are_the_documented_ones(tmp_path: Path) -> None:
    store = create(tmp_path / "run", small_config())
    write_tables(store, small_config())
    check_tables(store.path / "tables", "a run")
    fill(store, 0, PAIRS[0], None)
    fill(store, 1, PAIRS[1], "L05N20")
    store.quarantine(PAIRS[2].id, "warp", "=1+1")
    payload = {"info": {"mood": "NA", "share": 0.5}, "notes": [], "seconds": 1.0}
    store.publish("warp", PAIRS[3].id, pair_index=3, payload=payload)
    write_tables(store, small_config())
    check_tables(store.path / "tables", "a run")
    measures = read_table(store.path / "tables" / "measures.csv")
    assert measures[["measure", "text"]].iloc[0].tolist() == ["mood", "NA"], "the text NA is no missing value"
    assert read_table(store.path / "tables" / "pairs.csv")["reason"].iloc[2] == "=1+1", "without an apostrophe"


def test_tables_and_arrays_of_real_runs_are_the_documented_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    run = make_run(tmp_path)
    check_tables(run / "tables", "a run")
    for name, spec in run_specs(RunStore.open(run)).items():
        meaning = ARRAYS[name] if name in ARRAYS else ARRAYS[name.partition("/")[0]]
        if len(spec.shape) == len(meaning.dims):  # the stub's features are not ours
            assert spec.attributes and spec.attributes["long_name"] == meaning.said and spec.dtype in meaning.dtype
    monkeypatch.delenv("MGI_METHOD_FACTORY")
    inputs = make_inputs(tmp_path / "other", 1)
    places = (inputs / "sources", inputs / "exemplars", "--out", inputs / "run", "--profile", inputs / "stub.toml")
    (inputs / "made").mkdir()
    Image.new("RGB", (32, 32)).save(inputs / "made" / "s00.png")
    more = ("--method", "given", "--set", f"options.folder={inputs / 'made'}", "--workers", 0, "--metrics", "psnr")
    done = mgi("translate", *places, *more)
    assert done.exit_code == 0, done.output
    check_tables(inputs / "run" / "tables", "a run")


def test_tables_of_evaluations_are_the_documented_ones() -> None:
    known = {table.name: dtypes(table.columns) for table in tables()["an evaluation"]}
    row = {"suite": "s", "method": "a", "pair_id": "p", "metric": "psnr", "value": 1.0, "status": "ok"}
    row |= {"higher_is_better": True, "unit": "dB"}
    for rows in ([], [row]):
        table = frame_of(rows)
        assert dict(table.dtypes.astype(str)) == known["evaluation"]
        assert dict(summarise(table, "a").dtypes.astype(str)) == known["summary"]


def test_another_table_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("id,source\n")
    with pytest.raises(ConfigError, match="expected a table of this version's runs"):
        read_table(tmp_path / "pairs.csv")


def test_axes_of_lanes_have_one_length_in_a_group() -> None:
    shapes = {
        "L04N10": {"latents": ((6,), "float32"), "features": ((2, 3, 3), "float16"), "theirs": ((2,), "int64")},
        "L05N10": {"latents": ((9,), "float32"), "features": ((4, 3, 3), "float16"), "theirs": ((3,), "int64")},
    }
    found = lane_specs(small_config(), shapes, {"L05N10": {"codes": (2, 4), "tail": (1, 1)}})
    assert found["L04N10"]["latents"].dims == ("latent_L04N10",)
    assert found["L05N10"]["features"].dims == ("component_L05N10", "feature_y", "feature_x")
    assert found["L04N10"]["theirs"].dims == ("theirs_L04N10_1",)
    attributes = found["L05N10"]["latents"].attributes
    assert attributes and attributes["parts"] == parts_of({"codes": (2, 4), "tail": (1, 1)})
    assert attributes["parts"][1] == {"name": "tail", "rows": 1, "columns": 1, "start": 8, "stop": 9}
    assert apart({}) == {}
