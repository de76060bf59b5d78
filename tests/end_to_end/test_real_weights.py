"""The whole pipeline on real weights and real pictures, with few steps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from marked import payloads
from PIL import Image
from places import EXAMPLES
from typer.testing import CliRunner

from flows.cli import app
from mgi.weights import WeightsMissing, path

NEEDED = ("mobile-stylegan-ffhq", "vgg16-imagenet", "mtcnn-faces")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One example pair, translated with the embedded profile with the fewest steps that make a face."""
    import sys

    try:
        for name in NEEDED:
            path(name)
    except WeightsMissing as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("real") / "run"
    kept = {name: value for name, value in os.environ.items() if name in ("MGI_WEIGHTS_DIR", "MGI_WEIGHTS_MIRROR")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MGI_", "PREFECT_"))}
    command = [sys.executable, "-c", "from flows.cli import main; main()", "translate"]
    command += [str(EXAMPLES / "sources"), str(EXAMPLES / "exemplars")]
    command += ["--out", str(folder), "--limit", "1", "--workers", "0"]
    for setting in ('hypotheses=["L05N04", "L07N04"]', "steps=16", "coarse_steps=14", "learning_rate=0.15"):
        command += ["--set", f"inversion.{setting}"]
    command += ["--set", 'inversion.start="mean"']
    done = subprocess.run(command, env=clean | kept, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_everything_a_run_leaves_is_there(run: Path) -> None:
    for name in ("run.json", "report.html", "contact_sheet.png", "preview.png", "tables/hypotheses.csv"):
        assert (run / name).is_file(), name
    header = json.loads((run / "run.json").read_text())
    assert set(NEEDED) <= set(header["weights"])


def test_the_result_is_a_full_size_picture_near_its_warp(run: Path) -> None:
    (final,) = (run / "final").glob("*.png")
    pixels = np.asarray(Image.open(final))
    assert pixels.shape == (1024, 1024, 3)
    assert pixels.std() > 20, "flat"

    ((pair_id, choice),) = payloads(run, "select").items()
    measures = payloads(run, "invert")[f"{pair_id}.{choice['hypothesis']}"]["measures"]
    assert measures["l2_after"] < 0.75 * measures["l2_before"]
    assert measures["vgg_after"] < measures["vgg_before"]


@pytest.mark.long
def test_the_quick_profile_on_paintings(tmp_path: Path) -> None:
    """The shipped generator, in seconds: every stage, and results closer to their warps than at the start."""
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    for side in ("sources", "exemplars"):
        (tmp_path / side).mkdir()
    paintings = sorted(EXAMPLES.glob("*/kaokore-*.jpg"))
    for number, painting in enumerate(paintings[:4]):
        shutil.copy(painting, tmp_path / ("sources", "exemplars")[number % 2])
    run = tmp_path / "run"
    result = CliRunner().invoke(
        app,
        ["translate", str(tmp_path / "sources"), str(tmp_path / "exemplars"), "--out", str(run), "--profile", "quick"],
    )
    assert result.exit_code == 0, result.output
    finals = sorted((run / "final").glob("*.png"))
    assert len(finals) == 2
    assert all(np.asarray(Image.open(final)).shape == (64, 64, 3) for final in finals)
    lanes = payloads(run, "invert").values()
    assert len(lanes) == 4
    assert all(lane["measures"]["l2_after"] < 0.6 * lane["measures"]["l2_before"] for lane in lanes)
    # a first impression in which hypotheses are struck out would be none
    assert pd.read_parquet(run / "tables" / "hypotheses.parquet")["guarded"].sum() <= 1


def test_every_hypothesis_was_computed_and_scored(run: Path) -> None:
    hypotheses = json.loads((run / "run.json").read_text())["config"]["inversion"]["hypotheses"]
    (score,) = payloads(run, "score").values()
    scores = score["scores"]
    assert sorted(scores) == sorted(hypotheses)
    assert all(np.isfinite(value) for rules in scores.values() for value in rules.values())
