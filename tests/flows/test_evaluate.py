"""Metrics of finished images: measured after the images, counted and kept apart from them, each by its own digest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from runs import make_inputs

from flows.arguments import Arguments
from flows.pipeline import Summary, request_of, resume_run, translate_run
from flows.progress import Silent
from flows.status import read_status
from mgi.metrics import registry
from mgi.metrics.base import PairMetric
from mgi.registry import RegistryError
from storage.run_store import RunStore

pytestmark = pytest.mark.usefixtures("stub")

BRIGHT = PairMetric(name="bright", summary="mean", rows=16, measure=lambda views, _: float(views.result.mean()))
MOODY = PairMetric(name="moody", summary="fails on the second pair", measure=lambda views, _: 1 / MOOD.pop())
MOOD: list[float] = []


class Listener(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, PairMetric]:
    """Metrics by name beside ours; a test may replace them."""
    found: dict[str, Any] = {"bright": BRIGHT, "moody": MOODY}
    names = {**registry.OURS, "bright": f"{__name__}:BRIGHT", "moody": f"{__name__}:MOODY"}
    ours = registry.Registry("metric", "mgi.metrics", names)
    load = ours.load
    monkeypatch.setattr(ours, "load", lambda name: found[name] if name in found else load(name))
    monkeypatch.setattr(registry, "REGISTRY", ours)
    return found


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    return make_inputs(tmp_path / "inputs", 2)


def translate(inputs: Path, run: Path, metrics: str | None = None, observer: Silent | None = None) -> Summary:
    sides = (str(inputs / "sources"), str(inputs / "exemplars"))
    request = request_of(Arguments("translate", *sides, profile=str(inputs / "stub.toml")))
    return translate_run(request, str(run), 0, None, observer or Silent(), metrics=metrics)


def resume(run: Path, metrics: str | None = None, observer: Silent | None = None) -> Summary:
    return resume_run(str(run), 0, None, observer or Silent(), metrics=metrics)


def numbers(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "tables" / "metrics.parquet")


def test_a_finished_run_gets_numbers_and_nothing_else(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert "evaluate" not in translate(inputs, run).computed
    finals = {path.name: path.stat().st_mtime_ns for path in (run / "final").iterdir()}
    assert resume(run, "l2,bright").computed == {"evaluate": 4}
    assert {path.name: path.stat().st_mtime_ns for path in (run / "final").iterdir()} == finals
    assert set(numbers(run)["metric"]) == {"l2", "bright"}
    assert resume(run).computed == {}, "and the run remembers what it measures"
    assert json.loads((run / "run.json").read_text())["metrics"]["wanted"] == "l2,bright"
    assert read_status(str(run))["stages"]["evaluate"] == {"done": 4, "total": 4, "failed": 0}


def test_fewer_metrics_leave_the_tables_at_once(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "l2,bright")
    assert resume(run, "bright").computed == {}
    assert set(numbers(run)["metric"]) == {"bright"}
    assert "l2 ↓" not in (run / "report.html").read_text()


def test_they_are_in_the_tables_and_on_the_page(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "l2,bright")
    pairs, found = pd.read_parquet(run / "tables" / "pairs.parquet"), numbers(run)
    assert pairs["l2"].tolist() == found[found["metric"] == "l2"]["value"].tolist()
    assert pairs["psnr"].isna().all() and "bright" not in pairs, "columns are the same in every run"
    assert len(found[found["metric"] == "bright"]) == 2
    assert "bright ↓" in (run / "report.html").read_text()


def test_a_metric_that_changes_is_measured_again_alone(
    inputs: Path, tmp_path: Path, rows: dict[str, PairMetric], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "l2,bright")
    rows["bright"] = replace(BRIGHT, version=2, measure=lambda views, _: 7.0)
    monkeypatch.setattr("tasks.evaluation._state", lambda asked, task: "another")
    assert resume(run).computed == {"evaluate": 2}
    table = numbers(run)
    assert table[table["metric"] == "bright"]["value"].tolist() == [7.0, 7.0]
    assert len(table) == 4, "old numbers are in no table"


def test_a_metric_that_fails_costs_its_own_number(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    MOOD[:] = [0.0, 2.0]
    summary = translate(inputs, run, "moody,bright")
    assert summary.done == 2 and not summary.quarantined
    table = numbers(run)
    assert table[table["metric"] == "moody"]["value"].dropna().tolist() == [0.5]
    assert table["failed"].dropna().tolist() == ["ZeroDivisionError: float division by zero"]
    assert "1 failed" in (run / "report.html").read_text()
    assert read_status(str(run))["complete"]


def test_what_cannot_be_measured_is_said(inputs: Path, tmp_path: Path, rows: dict[str, PairMetric]) -> None:
    rows["bright"] = replace(BRIGHT, weights=("stylegan-ffhq-1024", "no-such-network"))
    listener = Listener()
    translate(inputs, tmp_path / "run", "l2,bright", listener)
    (note,) = [text for text in listener.said if "metric bright" in text]
    assert "is missing, `mgi weights fetch" in note
    assert set(numbers(tmp_path / "run")["metric"]) == {"l2"}
    with pytest.raises(RegistryError, match="unknown metric 'beauty'; use one of l2, vgg"):
        resume(tmp_path / "run", "beauty")
    with pytest.raises(RegistryError, match="metric set-fid is for whole sets"):
        resume(tmp_path / "run", "set-fid")


def test_networks_of_metrics_are_in_the_header(inputs: Path, tmp_path: Path) -> None:
    translate(inputs, tmp_path / "run")
    store = RunStore.open(tmp_path / "run")
    before = set(store.header["weights"])
    assert "efficientnet-lite0" not in before
    from tasks.evaluation import decide
    from tasks.unit import OpenRun

    notes = decide(store, OpenRun(store).config, "structure-lite0")
    if notes:
        pytest.skip(notes[0])
    after = RunStore.open(tmp_path / "run").header
    assert (
        set(after["weights"]) == before | {"efficientnet-lite0"} and len(after["weights"]["efficientnet-lite0"]) == 64
    )


def test_a_result_that_is_made_again_is_measured_again(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "bright")
    source = sorted((inputs / "sources").iterdir())[0]
    source.write_bytes(sorted((inputs / "sources").iterdir())[1].read_bytes())
    computed = resume(run).computed
    assert computed["evaluate"] == 1 and computed["warp"] == 1
