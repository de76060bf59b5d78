"""What commands say at their end: what to do next, and only where there is something to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from growing import mgi, translate
from runs import make_inputs
from small_suite import suite_file

pytestmark = pytest.mark.usefixtures("stub")


def test_a_run_with_pairs_in_quarantine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, run = make_inputs(tmp_path / "in", 2), tmp_path / "run"
    monkeypatch.setenv("STUB_FAIL", "s0")
    said = translate(inputs, run, code=3).stderr
    assert f"`mgi resume {run} --retry` tries them again" in said and "mgi export" not in said
    refused = mgi("export", run, "--to", tmp_path / "to", code=2).stderr
    assert f"`mgi resume {run} --retry` continues it" in refused
    assert f"`mgi resume {run} --retry` tries quarantined pairs again" in mgi("status", run, code=3).stderr
    monkeypatch.delenv("STUB_FAIL")
    again = mgi("resume", run, "--retry", "--workers", "0").stderr
    assert f"`mgi export {run} --to FOLDER` gives results the names of their sources" in again
    assert "--retry" not in again


def test_a_run_that_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, run = make_inputs(tmp_path / "in", 1), tmp_path / "run"

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("stub_method.StubMethod.invert", interrupt)
        assert f"`mgi resume {run}` continues where it stopped" in translate(inputs, run, code=130).stderr
    assert f"`mgi resume {run}` continues it" in mgi("status", run).stdout
    mgi("resume", run, "--workers", "0")
    (run / "report.html").unlink()
    assert f"`mgi report {run}` makes it" in mgi("status", run).stdout


def test_what_is_made_says_what_it_is_for(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    assert f"`mgi translate SOURCES EXEMPLARS --out RUN --profile {file}`" in mgi("init", file).stderr
    assert "did you mean kaokore-64" in mgi("weights", "fetch", "kaokore_64", code=2).stderr
    assert "`mgi evaluate NAME --out FOLDER` runs them" in mgi("suites").stderr


def test_a_copy_says_how_it_opens_and_counts_its_files_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(make_inputs(tmp_path / "in", 1), run)
    said = mgi("pack", run, "--to", tmp_path / "copy")
    assert f"xarray opens {tmp_path}/copy/run.zarr" in said.output.replace("\n", "") and " files" not in said.stderr
    said = mgi("pack", run, "--to", tmp_path / "copy.zip")
    assert f"xarray opens zarr.storage.ZipStore of {tmp_path}/copy.zip" in said.output.replace("\n", " ")


def test_a_study_without_votes(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "in", 2)
    suite = suite_file(inputs, 'name = "mgi"', 'name = "mganprior"', sets="[]")
    mgi("evaluate", suite, "--out", tmp_path / "eval", "--workers", "0")
    study = tmp_path / "study"
    assert (
        f"`mgi study serve {study}`" in mgi("study", "build", tmp_path / "eval", "--out", study, "--sets", "2").stdout
    )
    counted = mgi("study", "tally", study)
    assert "0 participants" in counted.stdout and "%" not in counted.stdout
    assert f"no votes yet; `mgi study serve {study}` shows the page to people" in counted.stderr
