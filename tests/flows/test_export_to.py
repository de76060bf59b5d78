"""`--export-to` of `mgi translate` and `mgi invert`: one command puts results under the names of their sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from growing import mgi
from PIL import Image
from runs import make_inputs

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Two sources, one of them in a subfolder, and two exemplars."""
    folder = make_inputs(tmp_path / "in", 2)
    (folder / "sources" / "more").mkdir()
    (folder / "sources" / "s00.png").rename(folder / "sources" / "more" / "anna.png")
    return folder


def folders(inputs: Path, task: str = "translate") -> list[str | Path]:
    """A command without its options."""
    given = [inputs / "sources", inputs / "exemplars"][: 2 if task == "translate" else 1]
    return [task, *given, "--out", inputs.parent / "run", "--profile", inputs / "stub.toml", "--workers", "0"]


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("task", ["translate", "invert"])
def test_results_are_where_their_sources_names_say(inputs: Path, tmp_path: Path, task: str) -> None:
    how = ("--format", "jpg", "--quality", "80", "--json")
    done = mgi(*folders(inputs, task), "--export-to", tmp_path / "results", *how)
    assert written(tmp_path / "results") == ["export.csv", "more/anna.jpg", "s01.jpg"]
    with Image.open(tmp_path / "results" / "s01.jpg") as image:
        assert image.format == "JPEG"
    exported = json.loads(done.stdout)["exported"]
    assert (exported["folder"], exported["files"]) == (str(tmp_path / "results"), 2)
    assert "mgi export" not in done.stderr

    again = mgi(*folders(inputs, task), "--export-to", tmp_path / "again", "--name", "{pair}").output
    assert "nothing to compute" in again and f"2 files in {tmp_path / 'again'}" in again.replace("\n", "")
    assert len(written(tmp_path / "again")) == 3


def test_pairs_in_quarantine_leave_the_others(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_FAIL", "s01")
    done = mgi(*folders(inputs), "--export-to", tmp_path / "results", "--json", code=3)
    exported = json.loads(done.stdout)["exported"]
    assert (exported["files"], exported["quarantined"]) == (1, 1)
    monkeypatch.setenv("STUB_FAIL", "e")
    again = (*folders(inputs)[:4], tmp_path / "none", *folders(inputs)[5:], "--limit", "1")
    done = mgi(*again, "--export-to", tmp_path / "nothing", "--json", code=3)
    assert "exported" not in json.loads(done.stdout) and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--export-to", "to", "--format", "gif"), "--format: expected one of png, jpg"),
        (("--export-to", "to", "--name", "{sauce}"), "--name {sauce}: unknown {sauce}"),
        (("--export-to", "to", "--name", "../{source}"), "--name: ../{source} is no name below the folder"),
        (("--export-to", "to", "--quality", "90"), "--quality 90: png loses nothing"),
        (("--export-to", "run/copies"), "--export-to run/copies lies in "),
        (("--export-to", "in/sources/more"), "--export-to in/sources/more lies in "),
        (("--export-to", "in/stub.toml/to"), "in/stub.toml cannot be written to"),
        (("--export-to", "s3://bucket/to"), "s3://bucket/to: expected a folder or file of this machine"),
        (("--name", "{pair}"), "--name {pair} belongs to --export-to FOLDER"),
        (("--format", "jpg"), "--format jpg belongs to --export-to FOLDER"),
        (("--quality", "90"), "--quality 90 belongs to --export-to FOLDER"),
    ],
)
@pytest.mark.parametrize("task", ["translate", "invert"])
def test_what_cannot_be_is_said_before_the_work(
    inputs: Path, monkeypatch: pytest.MonkeyPatch, task: str, options: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(inputs.parent)
    for dry in ([], ["--dry-run"]):
        done = mgi(*folders(inputs, task), *options, *dry, code=2)
        (line,) = done.stderr.splitlines()
        assert reason in line and not done.stdout
        assert not (inputs.parent / "run").exists() and not (inputs.parent / "to").exists()


def test_inverted_pictures_have_no_exemplars(inputs: Path, tmp_path: Path) -> None:
    asked = ("--export-to", tmp_path / "to", "--name", "{source}--{exemplar}")
    assert "the run has no exemplars" in mgi(*folders(inputs, "invert"), *asked, code=2).stderr
    assert not (tmp_path / "run").exists()


def test_single_pictures_refuse_it_by_name(inputs: Path, tmp_path: Path) -> None:
    source, exemplar = inputs / "sources" / "s01.png", inputs / "exemplars" / "e01.png"
    for options in (("--export-to", "to"), ("--name", "{pair}"), ("--format", "jpg"), ("--quality", "9")):
        for task in (["translate", source, exemplar], ["invert", source]):
            said = mgi(*task, "--out", tmp_path / "r.png", *options, code=2).stderr
            assert f"{' '.join(options)} belongs to runs of folders" in said


def test_what_the_environment_says_of_exports_waits_for_one(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MGI_FORMAT": "webp", "MGI_QUALITY": "80"}.items():
        monkeypatch.setenv(name, value)
    mgi(*folders(inputs))
    monkeypatch.setenv("MGI_TRANSLATE_EXPORT_TO", str(tmp_path / "to"))
    mgi(*folders(inputs))
    assert written(tmp_path / "to") == ["export.csv", "more/anna.webp", "s01.webp"]
    monkeypatch.setenv("MGI_FORMAT", "gif")
    (line,) = mgi(*folders(inputs), code=2).stderr.splitlines()
    assert line.endswith("found gif (set by MGI_FORMAT)")
