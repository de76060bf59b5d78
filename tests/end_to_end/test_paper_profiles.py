"""Both paper profiles from two pictures to the report, on stand-ins of true size."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from places import EXAMPLES
from runs import command, environment
from standins import LABEL, weights_folder

from mgi.weights import WeightsMissing, path

pytestmark = pytest.mark.slow

STANDINS = {
    "paper-celebahq": ("vgg19-imagenet", "inception-fid", "pggan-celebahq-1024"),
    "paper-ffhq": ("vgg19-imagenet", "inception-fid", "stylegan-ffhq-1024"),
}
FEW = ('inversion.hypotheses=["L04N03", "L05N02"]', "inversion.steps=2", "selection.domain_samples=16")


@pytest.fixture(scope="module", params=["paper-celebahq", pytest.param("paper-ffhq", marks=pytest.mark.long)])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One example pair under a paper profile: everything as published but two hypotheses, two steps, 16 samples."""
    try:
        path("vgg16-imagenet")
        path("mtcnn-faces")
    except WeightsMissing as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp(request.param)
    weights = weights_folder(folder / "weights", *STANDINS[request.param])
    arguments = ["translate", EXAMPLES / "sources", EXAMPLES / "exemplars", "--limit", "1"]
    arguments += ["--out", folder / "run", "--profile", request.param, "--workers", "0"]
    for setting in FEW:
        arguments += ["--set", setting]
    real = environment(MGI_WEIGHTS_DIR=str(weights), XDG_CACHE_HOME=str(folder / "cache"), MGI_OFFLINE="1")
    del real["MGI_METHOD_FACTORY"], real["OMP_NUM_THREADS"]
    done = subprocess.run(command(*arguments), env=real, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_paper_profile_ends_with_a_result_of_full_size(run: Path) -> None:
    (final,) = (run / "final").glob("*.png")
    pixels = np.asarray(Image.open(final))
    assert pixels.shape == (1024, 1024, 3)
    assert pixels.std() > 1, "flat"
    for name in ("report.html", "contact_sheet.png", "tables/pairs.csv"):
        assert (run / name).is_file(), name


def test_every_hypothesis_has_the_papers_distance(run: Path) -> None:
    table = pd.read_parquet(run / "tables" / "hypotheses.parquet")
    assert list(table["hypothesis"]) == ["L04N03", "L05N02"]
    assert np.isfinite(table["paper"]).all()
    assert table["failed"].isna().all()
    chosen = table[table["selected"].astype(bool)]
    assert chosen["paper"].item() == table["paper"].min()


def test_stand_ins_are_called_so_wherever_they_show_up(run: Path) -> None:
    header = json.loads((run / "run.json").read_text())
    used = STANDINS[header["config"]["profile"]]
    assert header["stand_ins"] == dict.fromkeys(used, LABEL)
    page = (run / "report.html").read_text()
    for name in used:
        assert name in page
    assert page.count(f"stand-in: {LABEL}") >= len(used)
