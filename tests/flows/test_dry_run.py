"""`--dry-run`: what is missing, what clashes, how long it takes; and a start says the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from mgi.translators.inversion import generator as loading
from mgi.translators.inversion.translator import InversionTranslator
from mgi.weights import WeightsMissing, path
from tasks.estimates import probe

PAPER = ("pggan-celebahq-1024", "vgg19-imagenet", "vgg16-imagenet", "inception-fid", "mtcnn-faces")
STYLES = ("--profile", "embedded", "--method", "image2stylegan", "--set", "generator=kaokore")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 2)


pytestmark = pytest.mark.usefixtures("plain")


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("MGI_OFFLINE", "1")
    monkeypatch.delenv("MGI_WEIGHTS_MIRROR", raising=False)


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    monkeypatch.setattr(probe, "BUDGET_S", 3.0)
    monkeypatch.setattr(probe, "ENOUGH_S", 0.1)


def translate(inputs: Path, tmp_path: Path, *more: str | Path) -> Result:
    folders = (inputs / "sources", inputs / "exemplars")
    arguments = ("translate", *folders, "--out", tmp_path / "run", "--workers", "0", *more)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_every_missing_network_is_named_at_once(inputs: Path, tmp_path: Path, nothing_here: None) -> None:
    result = translate(inputs, tmp_path, "--profile", "paper-celebahq", "--dry-run")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for name in PAPER:
        (line,) = [line for line in lines if f"missing  {name} (" in line]
        assert "bring" in line and "mgi weights fetch" in line
    assert f"estimate    none: {', '.join((PAPER[0], *PAPER[2:4]))} are missing" in result.stdout
    assert "what depends on it was not checked" in result.stdout
    assert translate(inputs, tmp_path, "--profile", "paper-celebahq", "--dry-run", "--strict").exit_code == 2
    assert not (tmp_path / "run").exists() and not (tmp_path / "weights").exists()


def test_a_start_names_them_all_as_well(inputs: Path, tmp_path: Path, nothing_here: None) -> None:
    result = translate(inputs, tmp_path, "--profile", "paper-celebahq")
    assert result.exit_code == 1, result.output
    assert "5 networks are missing" in result.stderr
    for name in PAPER:
        assert name in result.stderr
    assert not (tmp_path / "run").exists()


def test_clashes_are_all_named_before_anything_is_computed(inputs: Path, tmp_path: Path, real: None) -> None:
    for strict, code in (((), 0), (("--strict",), 2)):
        result = translate(inputs, tmp_path, *STYLES, "--set", "align.mode=never", "--dry-run", *strict)
        assert result.exit_code == code, result.output
        assert "clashes     kaokore has no latent space w+" in result.stdout
        assert "relu4_3 of vgg16-imagenet has 8x8 locations" in result.stdout
        assert "estimate    none: settings clash" in result.stdout


def test_a_start_refuses_clashes_before_the_first_warp(
    inputs: Path, tmp_path: Path, real: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InversionTranslator, "warp", lambda *_, **__: pytest.fail("a warp was computed"))
    monkeypatch.setattr(loading, "measure_prior", lambda *_: pytest.fail("a prior was measured"))
    result = translate(inputs, tmp_path, *STYLES, "--set", "align.mode=never")
    assert result.exit_code == 2, result.output
    assert "2 things cannot work together" in result.stderr and "no latent space w+" in result.stderr
    assert not (tmp_path / "run").exists()


def test_the_estimate_says_what_was_measured(inputs: Path, tmp_path: Path, real: None) -> None:
    result = translate(inputs, tmp_path, "--profile", "quick", "--dry-run", "--strict")
    assert result.exit_code == 0, result.output
    assert "measured    on cp" in result.stdout or "measured    on cuda" in result.stdout
    assert "s per full step at L04N08" in result.stdout and "x 160 =" in result.stdout
    assert "s per plain warp; x 2 =" in result.stdout
    assert "estimate    about" in result.stdout and "in this process" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_json_for_scripts(inputs: Path, tmp_path: Path, real: None) -> None:
    result = translate(inputs, tmp_path, "--profile", "quick", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["can_start"] is True and found["problems"] == []
    assert [network["state"] for network in found["networks"]] == ["here", "here"]
    assert found["steps"] == 160 and len(found["pairs"]) == 2
    pieces = found["estimate"]["start"] + found["estimate"]["shared"]
    assert found["estimate"]["seconds"] == pytest.approx(sum(p["seconds"] * p["count"] for p in pieces))


def test_pictures_are_forecast_as_well(inputs: Path, tmp_path: Path, nothing_here: None) -> None:
    arguments = ["invert", inputs / "sources", "--out", tmp_path / "run", "--profile", "quick", "--dry-run", "--strict"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert "missing  vgg16-imagenet (loss, measures, selection)" in result.stdout
    assert "here     kaokore-64 (generator)" in result.stdout


def test_strict_needs_a_dry_run(inputs: Path, tmp_path: Path) -> None:
    result = translate(inputs, tmp_path, "--strict")
    assert result.exit_code == 2 and "--strict belongs to --dry-run" in result.stderr
