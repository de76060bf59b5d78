"""The benchmarks over many pairs are runs of the pipeline, and their tables agree with the tables of the runs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from runs import make_inputs
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
Benchmark = Callable[..., str]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Benchmark:
    """Runs a benchmark in this process, with the stub method, and returns what it prints."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")

    def run(name: str, *arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        import_module(f"benchmarks.{name}").main()
        return capsys.readouterr().out

    return run


def table(text: str) -> dict[str, list[str]]:
    """{first cell: the others} of the rows of a printed table."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {name: cells for name, *cells in rows}


def lanes_of(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "tables" / "hypotheses.parquet")


def test_variants_are_runs_and_continue(tmp_path: Path, benchmark: Benchmark) -> None:
    inputs, results, drawing = make_inputs(tmp_path / "in", 3), tmp_path / "results", tmp_path / "drawing.png"
    folders = (inputs / "sources", inputs / "exemplars")
    common = ("--profile", inputs / "stub.toml", "--pairs", "2", "--pictures", drawing)
    variants = ("--variant", "long", "--variant", 'few:hypotheses=["L04N03","L06N04"],align.min_confidence=0.5')
    printed = benchmark("variants", results, *folders, *common, *variants)
    with Image.open(drawing) as picture:
        assert picture.size == (5 * 32, 4 * 32)  # source, exemplar, warp and two results of four pairs

    lanes = {name: lanes_of(results / name) for name in ("long", "few")}
    best = {name: found.groupby("pair_id")["loss"].min() for name, found in lanes.items()}
    assert [len(found) for found in lanes.values()] == [4 * 3, 4 * 2]
    rows = table(printed)
    assert list(rows) == ["variant", "long", "few"] and rows["long"][0] == rows["few"][0] == "4"
    found = re.fullmatch(r"(\S+) x(\S+) \((\S+)\)", rows["few"][1])
    assert found is not None
    assert float(found[1]) == pytest.approx(best["few"].mean(), rel=1e-3)
    assert float(found[2]) == pytest.approx(np.exp(np.log(best["few"] / best["long"]).mean()), abs=1e-3)
    assert float(found[3]) == pytest.approx((best["few"] < best["long"]).mean(), abs=5e-3)
    chosen = lanes["long"][lanes["long"]["selected"]]
    assert float(rows["long"][3]) == pytest.approx(chosen["l2_after"].mean(), rel=1e-3)
    assert float(rows["long"][5]) == pytest.approx(chosen["spatial-fd"].mean(), rel=1e-3)

    logs = {name: (results / name / "log.jsonl").read_text().count('"unit"') for name in lanes}
    assert table(benchmark("variants", results, *folders, *common, *variants)) == rows
    assert logs == {name: (results / name / "log.jsonl").read_text().count('"unit"') for name in lanes}
    assert table(benchmark("variants", results)) == rows
    lanes["few"].assign(seconds=2.0).to_parquet(results / "few" / "tables" / "hypotheses.parquet")
    assert table(benchmark("variants", results))["few"][6].startswith("4 ")  # for both hypotheses together
    with pytest.raises(SystemExit, match=r"inversion\.steps: 5 -> 6"):
        benchmark("variants", results, *folders, *common, "--variant", "long:steps=6")


def test_methods_are_runs_of_the_same_pictures(tmp_path: Path, benchmark: Benchmark) -> None:
    inputs, results, drawing = make_inputs(tmp_path / "in", 2), tmp_path / "results", tmp_path / "drawing.png"
    pictures = (inputs / "sources", inputs / "exemplars" / "e00.png")
    common = ("--profile", inputs / "stub.toml", "--draw", drawing)
    printed = benchmark("methods", results, *pictures, *common, "--method", "single-code", "--method", "mgi")
    rows = table(printed)
    assert list(rows) == ["method", "mgi", "single-code"]  # in the order of `mgi methods`
    for name in ("mgi", "single-code"):
        lanes = lanes_of(results / name)
        assert rows[name][0] == "3"
        assert float(rows[name][2]) == pytest.approx(lanes[lanes["selected"]]["l2_after"].mean(), rel=1e-3)
    with Image.open(drawing) as picture:
        assert picture.size == (3 * 32, 3 * 32)

    Image.new("RGB", (8, 8)).save(tmp_path / "e00.png")
    with pytest.raises(SystemExit, match=r"expected one picture called e00\.png"):
        benchmark("methods", results, tmp_path / "e00.png", *common)


def test_the_report_of_any_size_is_measured_against_a_small_one(benchmark: Benchmark) -> None:
    found = json.loads(benchmark("report", "--pairs", "130", "--hypotheses", "2", "--json"))
    small, large = found["rows"]
    assert (small["pairs"], small["growth_mib"], large["pairs"]) == (100, 0, 130)
    assert large["cpu"] > 0 and large["growth_mib"] == large["peak_mib"] - small["peak_mib"]


def test_distances_to_the_truth_are_of_unit_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    unit_distance = import_module("benchmarks.truths").unit_distance

    def two(images: Tensor, layers: Any) -> dict[str, Tensor]:
        return {"a": images[:, :2], "b": 7 * images[:, 1:]}

    x, y = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    x[:, 0], y[:, 1] = 2.0, 5.0  # in a: at right angles; in b: nothing against something
    assert unit_distance(x, y, two, ("a", "b")) == pytest.approx((2 + 1) / 2)
    assert unit_distance(x, x, two, ("a", "b")) == 0
