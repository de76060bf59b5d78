"""`mgi conditions` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from flows.cli import app
from mgi.systems.conditions import edges, segments
from tasks.conditions import read_map


def mgi(*arguments: str | Path, check: int = 0) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == check, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name in ("a.png", "deep/b.jpg"):
        coarse = Image.fromarray(draw.integers(0, 256, (3, 3, 3), dtype=np.uint8))
        coarse.resize((48, 40), Image.Resampling.BICUBIC).save(folder / name)
    return folder


def test_files_are_called_as_the_pictures_and_read_back_as_maps(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = mgi("conditions", pictures, "--kind", "segments", "--out", out)
    assert f"2 files of segments in {out}" in text and "--set labels=16" in text
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == ["a.png", "deep/b.png"]
    with Image.open(pictures / "a.png") as image:
        picture = np.asarray(image)
    assert np.array_equal(read_map(str(out), "a.png")[0], segments(picture)[..., 0])
    mgi("conditions", pictures, "--out", out)
    with Image.open(out / "a.png") as image:
        assert np.array_equal(np.asarray(image), edges(picture))


def test_what_cannot_be_read_is_left_out_and_said(pictures: Path, tmp_path: Path) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (40, 40)).save(pictures / "a.jpg")
    found = json.loads(
        mgi("conditions", pictures, "--kind", "grey", "--out", tmp_path / "out", "--json", "-q", check=3)
    )
    assert found["files"] == 2 and set(found["left_out"]) == {"broken.png", "a.png"}
    assert "called the same" in found["left_out"]["a.png"]


def test_key_points_become_arrays(pictures: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "points.csv", tmp_path / "maps"
    file.write_text("picture,name,x,y\na.png,nose,24,20\ndeep/b.jpg,nose,3,3\ndeep/b.jpg,eye,9,9\n")
    assert "no width and height of a.png" in mgi("conditions", "--keypoints", file, "--out", out, check=2)
    mgi("conditions", pictures, "--keypoints", file, "--out", out, "--rows", "32")
    found = read_map(str(out), "deep/b.jpg")
    assert found.shape == (2, 32, 38) and found.max() > 0.9
    file.write_text("picture,name,x,y\na.png,nose,24,20\n")
    assert "deep/b.jpg" in mgi("conditions", pictures, "--keypoints", file, "--out", out, check=2)
    file.write_text("picture,name,x,y,width,height\n../a.png,nose,24,20,40,40\n")
    assert "inside one folder" in mgi("conditions", "--keypoints", file, "--out", out, check=2)


def test_what_is_asked_wrongly_is_one_line(pictures: Path, tmp_path: Path) -> None:
    assert "PICTURES is missing" in mgi("conditions", "--out", tmp_path / "out", check=2)
    assert "expected one of edges, grey, segments" in mgi(
        "conditions", pictures, "--kind", "depth", "--out", tmp_path / "out", check=2
    )
    assert "lies among the pictures" in mgi("conditions", pictures, "--out", pictures / "out", check=2)
