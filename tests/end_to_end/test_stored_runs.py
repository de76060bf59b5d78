"""Runs that earlier versions made can be opened for ever.

Of 0.1.0: a finished translation and an inversion with quarantine. Of format 2: a run that has grown in every way.
Archives hold folders as those versions left them (stub method, paths below /data/mgi); they are never written again.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from growing import asked, decided, settled, write
from marked import forget
from places import ROOT
from runs import command, mgi, results

from storage.run_header import FORMAT
from storage.run_store import RunStore

ARCHIVE = ROOT / "tests" / "stored" / "runs-0.1.0.tar.gz"
GROWN = ROOT / "tests" / "stored" / "grown-format-2.tar.gz"
"""Made by `make_grown.py` in the same folder."""
MADE_AT = "/data/mgi"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """`inputs/`, `translate/` and `invert/`, moved here."""
    return unpacked(ARCHIVE, tmp_path, "translate", "invert")


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    """`inputs/` and `run/`, moved here."""
    return unpacked(GROWN, tmp_path, "run")


def unpacked(path: Path, folder: Path, *runs: str) -> Path:
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    for run in runs:
        header = folder / run / "run.json"
        header.write_text(header.read_text().replace(MADE_AT, str(folder)))
    return folder


def test_a_finished_run_opens_resumes_and_reports(stored: Path) -> None:
    run = stored / "translate"
    before = results(run)
    assert len(before) == 2
    status = mgi(command("status", run, "--json"))
    assert status.returncode == 0, status.stderr
    said = json.loads(status.stdout)
    assert said["digest"] == json.loads((run / "run.json").read_text())["digest"]
    resumed = mgi(command("resume", run))
    assert resumed.returncode == 0, resumed.stderr
    assert results(run) == before
    reported = mgi(command("report", run))
    assert reported.returncode == 0, reported.stderr
    assert (run / "report.html").is_file() and (run / "contact_sheet.png").is_file()


def test_the_command_that_began_it_continues_it(stored: Path) -> None:
    run, inputs = stored / "translate", stored / "inputs"
    before = results(run)
    (inputs / "sources" / "broken.png").unlink()  # it came later, for the inversion
    arguments = ("translate", inputs / "sources", inputs / "exemplars", "--out", run, "--profile", inputs / "stub.toml")
    again = mgi(command(*arguments))
    assert again.returncode == 0, again.stderr
    assert results(run) == before
    other = mgi(command(*arguments, "--set", "inversion.steps=6"))
    assert other.returncode == 2
    assert "inversion.steps: 5 -> 6" in other.stderr and "keep" not in other.stderr, "new fields are no difference"


def test_what_is_left_of_a_run_is_computed_by_this_version(stored: Path) -> None:
    run = stored / "translate"
    whole = results(run)
    final = next((run / "final").glob("*.png"))
    forget(run, "select", final.stem)
    final.unlink()
    resumed = mgi(command("resume", run))
    assert resumed.returncode == 0, resumed.stderr
    assert results(run) == whole


def test_quarantine_stays_and_retries(stored: Path) -> None:
    run = stored / "invert"
    resumed = mgi(command("resume", run))
    assert resumed.returncode == 3, resumed.stderr
    retried = mgi(command("resume", run, "--retry"))
    assert retried.returncode == 3, retried.stderr
    assert len(results(run)) == 2, "only the broken picture is left out"


def test_fields_of_a_newer_version_are_named(stored: Path) -> None:
    header = stored / "translate" / "run.json"
    content = json.loads(header.read_text())
    content["config"]["inversion"]["telepathy"] = True
    content["versions"]["mgi"] = "9.1"
    header.write_text(json.dumps(content))
    for verb in ("resume", "status", "report"):
        refused = mgi(command(verb, stored / "translate"))
        assert refused.returncode == 2, refused.stderr
        (line,) = [line for line in refused.stderr.splitlines() if line.startswith("mgi:")]
        assert "begun by mgi 9.1, whose inversion.telepathy this version does not know" in line


def test_a_run_of_the_first_format_grows(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    run, inputs = stored / "translate", stored / "inputs"
    before = results(run)
    (inputs / "sources" / "broken.png").unlink()
    for side in ("sources", "exemplars"):
        (inputs / side / f"{side[0]}02.png").write_bytes((inputs / side / f"{side[0]}00.png").read_bytes())
    write(run, decided(run, asked(inputs), extending=True))
    assert settled(run) == ["pairs"]
    resumed = mgi(command("resume", run))
    assert resumed.returncode == 0, resumed.stderr
    assert before.items() < results(run).items() and len(results(run)) == 3
    assert json.loads((run / "run.json").read_text())["format"] == FORMAT


def test_a_grown_run_opens_resumes_and_reports(grown: Path) -> None:
    run = grown / "run"
    before, header = results(run), json.loads((run / "run.json").read_text())
    assert len(before) == 2
    status = mgi(command("status", run, "--json"))
    assert status.returncode == 0, status.stderr
    said = json.loads(status.stdout)
    assert (said["pairs"], said["hypotheses"], said["complete"]) == (2, 4, True)
    for verb in ("resume", "report"):
        done = mgi(command(verb, run))
        assert done.returncode == 0, done.stderr
    assert results(run) == before
    store = RunStore.open(run)
    assert {**store.header, "metrics": None} == {**header, "format": FORMAT, "metrics": None}
    assert [change["what"] for change in store.header["changes"]] == ["pairs", "hypotheses", "selection"]
    assert {store.done("select", pair_id)["rule"] for pair_id in store.pairs["id"]} == {"set-fid"}  # type: ignore[index]
