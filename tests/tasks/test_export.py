"""`mgi export`: results, warps and latents of a run under the names and in the formats that are asked for."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from growing import mgi, translate
from PIL import Image
from runs import make_inputs

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three sources, one of them in a subfolder, by one exemplar each; one would be a formula in a table."""
    inputs = make_inputs(tmp_path / "inputs", 3)
    sources = sorted((inputs / "sources").iterdir())
    (inputs / "sources" / "more").mkdir()
    sources[0].rename(inputs / "sources" / "more" / "anna.png")
    sources[1].rename(inputs / "sources" / "=bert.png")
    translate(inputs, tmp_path / "run")
    return tmp_path / "run"


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_results_are_called_as_their_sources(run: Path, tmp_path: Path) -> None:
    said = mgi("export", run, "--to", tmp_path / "out").output
    names = written(tmp_path / "out")
    assert "3 files" in said and {"export.csv", "=bert.png", "more/anna.png"} <= set(names) and len(names) == 4
    with (tmp_path / "out" / "export.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows if "anna" in row["source"]] == ["more/anna.png"]
    assert any(row["path"] == "'=bert.png" for row in rows)  # no formula
    one = next(row for row in rows if "anna" in row["source"])
    with (
        Image.open(tmp_path / "out" / "more" / "anna.png") as image,
        Image.open(run / "final" / f"{one['pair_id']}.png") as final,
    ):
        assert np.array_equal(np.asarray(image), np.asarray(final)) and image.info["mgi"] == "generated image"


def test_kinds_names_and_formats(run: Path, tmp_path: Path) -> None:
    wanted = ("--what", "result,warp,latents", "--name", "{pair}/{hypothesis}", "--format", "webp")
    mgi("export", run, "--to", tmp_path / "out", *wanted)
    names = written(tmp_path / "out")
    assert len(names) == 10 and {name.split("/")[0] for name in names} == {"result", "warp", "latents", "export.csv"}
    latents = next(path for path in (tmp_path / "out" / "latents").rglob("*.npz"))
    with np.load(latents) as file:
        assert latents.stem == str(file["hypothesis"]) and "latents" in file and "loss" not in file
    picture = next((tmp_path / "out" / "warp").rglob("*.webp"))
    with Image.open(picture) as image:
        assert image.format == "WEBP" and "mgi:what: warp" in image.getexif()[0x010E]


def test_inverted_pictures_have_no_exemplar_in_their_names(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "inputs", 1)
    asked = ("--out", tmp_path / "run", "--profile", inputs / "stub.toml", "--workers", "0")
    mgi("invert", inputs / "sources", *asked)
    refused = ("--to", tmp_path / "out", "--name", "{source}--{exemplar}")
    assert "the run has no exemplars" in mgi("export", tmp_path / "run", *refused, code=2).output


def test_quality_is_of_formats_that_lose_something(run: Path, tmp_path: Path) -> None:
    for quality in ("20", "90"):
        mgi("export", run, "--to", tmp_path / quality, "--format", "jpg", "--quality", quality)
    small, large = (sum(path.stat().st_size for path in (tmp_path / q).rglob("*.jpg")) for q in ("20", "90"))
    assert 0 < small < large
    with Image.open(next((tmp_path / "20").rglob("*.jpg"))) as image:
        assert "icc_profile" not in image.info and list(image.getexif()) == [0x010E]  # our own line and nothing else
    said = mgi("export", run, "--to", tmp_path / "no", "--quality", "90", code=2).output
    assert "png loses nothing" in said and not (tmp_path / "no").exists()


def test_what_is_in_quarantine_is_not_said_to_be_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_FAIL", "s01")
    translate(make_inputs(tmp_path / "in", 2), tmp_path / "run", code=3)
    said = mgi("export", tmp_path / "run", "--to", tmp_path / "out").output
    assert f"pairs in quarantine: 1; `mgi resume {tmp_path / 'run'} --retry`" in said.replace("\n", "")
    assert "without a result yet" not in said


def test_a_source_with_several_exemplars_gets_their_names(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "inputs", 2)
    translate(inputs, tmp_path / "run", "--pairing", "product")
    mgi("export", tmp_path / "run", "--to", tmp_path / "out")
    pairs = [f"s0{source}--e0{exemplar}.png" for source in range(2) for exemplar in range(2)]
    assert written(tmp_path / "out") == ["export.csv", *pairs]
    said = mgi("export", tmp_path / "run", "--to", tmp_path / "no", "--name", "{exemplar}", code=2).output
    assert "would both be called" in said and not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--what", "results"), "unknown 'results' (did you mean result?)"),
        (("--what", ","), "expected some of result"),
        (("--name", "{sauce}"), "unknown {sauce}; expected some of {source}"),
        (("--name", "{source"), "--name {source: "),
        (("--name", "../{source}"), "is no name below the folder"),
        (("--format", "gif"), "expected one of png, jpg"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    run: Path, tmp_path: Path, arguments: tuple[str, str], reason: str
) -> None:
    said = mgi("export", run, "--to", tmp_path / "out", *arguments, code=2).output
    assert reason in said and not (tmp_path / "out").exists()


def test_not_into_the_run_itself(run: Path) -> None:
    assert "final lies in " in mgi("export", run, "--to", run / "final", code=2).output


def test_a_picture_that_the_run_is_made_from_is_not_replaced(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "inputs", 1)
    translate(inputs, tmp_path / "run")
    before = (inputs / "sources" / "s00.png").read_bytes()
    said = mgi("export", tmp_path / "run", "--to", inputs / "sources", code=2).output
    assert "s00.png is a picture that the run is made from; expected another folder" in " ".join(said.split())
    assert (inputs / "sources" / "s00.png").read_bytes() == before
    assert "Unknown format code" in mgi("export", tmp_path / "run", "--to", "x", "--name", "{source:d}", code=2).output
