"""What is counted is true: failures are no results, bars end where nothing is left, pictures are no pairs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from growing import mgi, translate
from rich.console import Console
from runs import make_inputs

from flows.progress import Bars, Lines

pytestmark = pytest.mark.usefixtures("stub")


def test_a_pair_that_fails_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_FAIL", "s01")
    said = translate(make_inputs(tmp_path / "in", 3), tmp_path / "run", code=3)
    assert "(computed: 3 warp, 6 invert, 2 score, 2 select; failed: 3 invert, 1 score)" in said.stdout
    for line in ("invert: 6 of 9 hypotheses, 3 failed", "score: 2 of 3 pairs, 1 failed", "select: 2 of 2 pairs"):
        assert line in said.stderr


def test_a_hypothesis_that_fails_is_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_NAN", "L04N03")
    said = translate(make_inputs(tmp_path / "in", 2), tmp_path / "run")
    assert "(computed: 2 warp, 4 invert, 2 score, 2 select; failed: 2 invert)" in said.stdout


def test_inverted_pictures_are_not_warped(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "in", 2)
    to = ("--out", tmp_path / "run", "--profile", inputs / "stub.toml", "--workers", "0")
    said = mgi("invert", inputs / "sources", *to)
    assert "2 of 2 pictures done in" in said.stdout and "computed: 2 observe, 6 invert" in said.stdout
    assert "observe: 2 of 2 pictures" in said.stderr and "warp" not in said.stderr


def test_a_bar_ends_at_its_end() -> None:
    said: list[str] = []
    bars = Bars(Console(quiet=True))
    for shown in (bars, Lines(said.append)):
        shown.begin("score", "pairs", 3, 0)
        shown.begin("select", "pairs", 3, 0)
        shown.finish("score", "a", None)
        shown.finish("score", "b", "it broke")
        shown.drop("select", 1)
        shown.finish("score", "c", None)
        shown.finish("select", "a", None)
        shown.finish("select", "c", None)
        shown.drop("unknown", 1)
    assert said[-1] == "select: 2 of 2 pairs" and "score: 2 of 3 pairs, 1 failed" in said
    tasks = {task.description: task for task in bars.progress.tasks}
    assert all(task.finished for task in tasks.values())
    assert tasks["score"].fields["unit"] == "pairs, 1 failed" and tasks["select"].total == 2


def test_the_table_says_where_each_result_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_FAIL", "s01")
    translate(make_inputs(tmp_path / "in", 2), tmp_path / "run", code=3)
    table = pd.read_parquet(tmp_path / "run" / "tables" / "pairs.parquet").set_index("state")
    assert (tmp_path / "run" / table.loc["done", "result"]).is_file() and pd.isna(table.loc["quarantined", "result"])
