"""A run whose warps are matched in both directions: what it keeps, what its tables and its page say, and damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import EXAMPLES
from typer.testing import CliRunner, Result

from flows.cli import app
from mgi.weights import WeightsMissing, path
from storage.run_store import RunStore

PAINTINGS = sorted(EXAMPLES.glob("*/kaokore-*.jpg"))[:2]
SMALL = {
    "inversion.hypotheses": '["L06N02"]',
    "inversion.steps": "2",
    "inversion.warm_start": "0",
    "inversion.confidence_weight": "0.8",
    "selection.domain_samples": "16",
    "warp.matching": "dual",
    "warp.window": "2",
    "warp.colours": "shifted",
}

pytestmark = pytest.mark.slow


def mgi(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    for side, painting in zip(("sources", "exemplars"), PAINTINGS, strict=True):
        (tmp_path / side).mkdir()
        shutil.copy(painting, tmp_path / side)
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    folders = (tmp_path / "sources", tmp_path / "exemplars", "--out", tmp_path / "run")
    done = mgi("translate", *folders, "--profile", "quick", "--workers", 0, *settings)
    assert done.exit_code == 0, done.output
    return tmp_path / "run"


def test_what_a_judged_run_keeps_and_shows(run: Path) -> None:
    row = pd.read_parquet(run / "tables" / "pairs.parquet").iloc[0]
    confidence = RunStore.open(run).value("warp", row["pair_id"], "warp/confidence")
    assert confidence.shape == (32, 32) and confidence.dtype == np.uint8 and confidence.std() > 20
    assert row["matched_share"] == pytest.approx(float((confidence >= 127.5).mean()), abs=0.01)
    shown = run / "report" / row["pair_id"]
    view = (shown / "pair.js").read_text()
    assert "bright where a match leads there and back" in view
    assert float(view.partition('"matched":')[2].partition(",")[0]) == pytest.approx(row["matched_share"])
    assert (shown / "confidence.jpg").is_file()
    assert mgi("verify", run).exit_code == 0


def test_a_damaged_confidence_stops_no_report_and_is_made_again(run: Path) -> None:
    before = RunStore.open(run).read("warp/confidence", 0)
    (shard,) = [file for file in (run / "run.zarr" / "warp" / "confidence").rglob("c.*") if file.is_file()]
    shard.write_bytes(b"nonsense")
    shutil.rmtree(run / "report")
    assert mgi("report", run).exit_code == 0
    (view,) = (run / "report").glob("*/pair.js")
    assert "bright where a match" not in view.read_text()
    found = mgi("verify", run, "--repair")
    assert found.exit_code == 1 and "confidence" in found.output
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 0, resumed.output
    assert np.array_equal(RunStore.open(run).read("warp/confidence", 0), before)
    assert mgi("verify", run).exit_code == 0
