"""An unknown package brings a method and a metric through entry points, and both work as ours do.

The package is written and really installed (by pip, into its own folder), and commands run in processes that see it.
Its method is not an inversion: it has no hypotheses, no latents and no network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from marked import markers
from PIL import Image
from places import ROOT
from runs import make_inputs

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "strangers-blend"
version = "3.1"

[project.entry-points."mgi.translators"]
blend = "strangers_blend:BLEND"

[project.entry-points."mgi.metrics"]
redness = "strangers_blend:REDNESS"

[tool.setuptools]
py-modules = ["strangers_blend"]
"""

MODULE = '''
import numpy as np

from mgi.metrics.base import PairMetric
from mgi.translators import Method, Result


class Blend:
    """Source and exemplar, mixed."""

    def __init__(self, config, device):
        self.config = config
        self.share = float(getattr(config.options, "share", 0.5))

    picture_size = 48

    def translate(self, source, exemplar, seed=0, progress=None):
        mixed = (1 - self.share) * source.astype(float) + self.share * exemplar
        return Result(mixed.round().astype(np.uint8), measures={"share": self.share}, info={"mood": "calm"})


BLEND = Method(
    name="blend",
    summary="source and exemplar, mixed",
    paper="Stranger 2030",
    translator="strangers_blend:Blend",
)


def redness(views, networks):
    """Mean of the red channel, from -1 to 1."""
    return float(views.result[0, 0].mean())


REDNESS = PairMetric(
    name="redness",
    summary="mean of the red channel",
    unit="red",
    higher_is_better=True,
    range=(-1.0, 1.0),
    rows=32,
    measure=redness,
)
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (folder / "strangers_blend.py").write_text(MODULE, encoding="utf-8")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 2)


def mgi(site: Path | None, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MGI_M", "PREFECT_"))}
    paths = os.pathsep.join(str(path) for path in (ROOT, site) if path)
    command = [sys.executable, "-c", "from flows.cli import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, env=kept | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture(scope="module")
def run(site: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "blended"
    arguments = ["--profile", inputs / "stub.toml", "--method", "blend", "--metrics", "l2,redness", "--workers", "0"]
    sides = (inputs / "sources", inputs / "exemplars")
    done = mgi(site, "translate", *sides, "--out", folder, *arguments, "--set", "options.share=0.25")
    assert done.returncode == 0, done.stderr
    assert "2 translate" in done.stdout
    return folder


def test_both_are_listed(site: Path) -> None:
    for verb, name, said in (("methods", "blend", "Stranger 2030"), ("metrics", "redness*", "mean of the red channel")):
        done = mgi(site, verb)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{name} ")]
        assert said in line and "package strangers-blend" in line
        assert not [line for line in mgi(None, verb).stdout.splitlines() if line.startswith(f"{name} ")]


def test_the_images_are_the_strangers(run: Path, inputs: Path) -> None:
    header = json.loads((run / "run.json").read_text())
    assert header["config"]["translator"] == "blend" and header["config"]["options"] == {"share": 0.25}
    finals = sorted((run / "final").glob("*.png"))
    assert len(finals) == 2
    image = Image.open(finals[0])
    assert image.size == (48, 48)
    assert image.text["mgi:method"] == "blend"


def test_both_are_in_the_tables(run: Path) -> None:
    pairs = pd.read_parquet(run / "tables" / "pairs.parquet")
    assert pairs["method"].tolist() == ["blend", "blend"]
    measures = pd.read_parquet(run / "tables" / "measures.parquet")
    assert measures["measure"].tolist() == ["mood", "share"] * 2 and set(measures["pair_id"]) == set(pairs["pair_id"])
    assert measures["value"].tolist()[1::2] == [0.25, 0.25] and measures["text"].tolist()[::2] == ["calm", "calm"]
    metrics = pd.read_parquet(run / "tables" / "metrics.parquet")
    assert set(metrics["metric"]) == {"redness"}, "l2 needs a warp, which this method does not make"
    assert metrics["method"].tolist() == ["blend", "blend"] and metrics["unit"].tolist() == ["red", "red"]
    for pair_id, value in zip(metrics["pair_id"], metrics["value"], strict=True):
        red = np.asarray(Image.open(run / "final" / f"{pair_id}.png"), dtype=float)[..., 0].mean() / 127.5 - 1
        assert value == pytest.approx(red, abs=0.01)
    hypotheses = pd.read_parquet(run / "tables" / "hypotheses.parquet")
    assert len(hypotheses) == 0


def test_both_are_in_the_report(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "redness ↑ (red)" in page and "mean of the red channel" in page
    assert "source and exemplar, mixed (Stranger 2030)" in page
    assert 'id="hypotheses"' not in page, "it tries none"
    assert (run / "contact_sheet.png").is_file()


def test_another_metric_costs_its_own_time_only(run: Path, site: Path) -> None:
    before = markers(run, "translate")
    done = mgi(site, "resume", run, "--metrics", "redness,psnr", "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert "computed: 2 evaluate" in done.stdout
    assert before and markers(run, "translate") == before
    assert set(pd.read_parquet(run / "tables" / "metrics.parquet")["metric"]) == {"redness", "psnr"}
    again = mgi(site, "resume", run)
    assert again.returncode == 0 and "nothing to compute" in again.stdout


def test_without_the_package_a_run_says_what_is_missing(run: Path, inputs: Path, tmp_path: Path) -> None:
    status = mgi(None, "status", run)
    assert status.returncode == 0, status.stderr
    arguments = ["--profile", inputs / "stub.toml", "--method", "blend"]
    refused = mgi(None, "translate", inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run", *arguments)
    assert refused.returncode == 2
    assert "unknown method 'blend'; use one of mgi, mganprior" in refused.stderr
    report = mgi(None, "report", run)
    assert report.returncode == 0, "numbers keep what they are, whoever measured them"
    assert "redness ↑ (red)" in (run / "report.html").read_text()


def test_it_inverts_nothing(site: Path, inputs: Path, tmp_path: Path) -> None:
    refused = mgi(site, "invert", inputs / "sources", "--out", tmp_path / "run", "--method", "blend")
    assert refused.returncode == 2
    assert "blend translates pairs and does not invert single pictures" in refused.stderr
