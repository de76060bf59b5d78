"""Pictures in, one picture out: `mgi translate A B --out R.png`, `mgi invert A --out R.png`, and the calls below."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import ROOT
from typer.testing import CliRunner

import mgi
from flows.cli import app
from flows.cli.answer import Answer
from flows.errors import Exit, explain
from mgi.alignment import NoFace
from mgi.config import ConfigError
from mgi.single import phases, pixels

FEW = ("--profile", "quick", "--set", "inversion.steps=3", "--set", "inversion.warm_start=0")


def run(*arguments: str | Path, check: int = 0) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == check, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    draw = np.random.default_rng(0)
    names = (tmp_path / "a.jpg", tmp_path / "b.png")
    for name in names:
        coarse = Image.fromarray(draw.integers(0, 256, (5, 4, 3), dtype=np.uint8))
        coarse.resize((120, 150), Image.Resampling.BICUBIC).save(name)
    return names


@pytest.mark.slow
def test_two_pictures_become_one(plain: None, pictures: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = pictures
    said = run("translate", a, b, "--out", tmp_path / "one.png", *FEW)
    assert "one.png" in said and "64 x 64, L" in said and "phases" in said
    again = mgi.translate(
        Image.open(a), Image.open(b), profile="quick", settings={"inversion.steps": 3, "inversion.warm_start": 0}
    )
    with Image.open(tmp_path / "one.png") as image:
        assert np.array_equal(np.asarray(image), again.array)
        assert "generated image" in image.info["mgi"] and image.info["mgi:hypothesis"] == again.info["hypothesis"]
    assert again.warp is not None and again.measures
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "b.png", "one.png"]


@pytest.mark.slow
def test_the_same_pictures_become_the_same_bytes(plain: None, pictures: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        run("translate", *pictures, "--out", tmp_path / name, "--profile", "quick", "--method", "exemplar-warp")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("r.jpg", "JPEG"), ("r.webp", "WEBP"), ("r.TIFF", "TIFF")])
def test_one_picture_in_the_format_that_it_is_called(
    plain: None, pictures: tuple[Path, Path], tmp_path: Path, name: str, kind: str
) -> None:
    run("invert", pictures[0], "--out", tmp_path / name, *FEW, "--method", "single-code")
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == (kind, (64, 64))
        assert "generated image" in image.getexif()[0x010E]


def test_what_does_not_fit_is_one_line(plain: None, pictures: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = pictures
    said = run("translate", a, b, "--out", tmp_path / "run", check=2)
    assert "expected a picture such as result.png for" in said and not (tmp_path / "run").exists()
    said = run("translate", tmp_path, tmp_path, "--out", tmp_path / "r.png", check=2)
    assert "expected a folder for the run" in said
    assert "would replace a picture that it is made from" in run("translate", a, b, "--out", b, check=2)
    assert "--extend belongs to runs of folders" in run("translate", a, b, "--out", "r.png", "--extend", check=2)
    (tmp_path / "c.png").write_bytes(b"\x89PNG not really")
    said = run("invert", tmp_path / "c.png", "--out", tmp_path / "r.png", check=1)
    assert "is damaged" in said and "internal error" not in said


def test_pictures_and_folders_are_told_apart(pictures: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = pictures
    result = tmp_path / "r.png"
    assert "nope.jpg does not exist; --out" in run("translate", a, tmp_path / "nope.jpg", "--out", result, check=2)
    assert f"{tmp_path} is no picture; --out" in run("translate", a, tmp_path, "--out", result, check=2)
    assert "b.png cannot be written to" in run("translate", a, b, "--out", b / "r.png", check=2)


def test_options_of_runs_are_said_to_do_nothing(
    pictures: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["flows.cli.translate"], "write_single", lambda *_: Answer({}))
    said = run("translate", *pictures, "--out", tmp_path / "r.png", "--metrics", "lpips", "--scheduler", "tcp://a:1")
    assert "note: --scheduler, --metrics: of runs of folders, without effect" in " ".join(said.split())
    assert "note" not in run("translate", *pictures, "--out", tmp_path / "r.png")


@pytest.mark.slow
def test_one_picture_needs_no_name_for_its_result(
    plain: None, pictures: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "a-inverted.png" in run("invert", "a.jpg", *FEW, "--method", "single-code")
    assert (tmp_path / "a-inverted.png").is_file()
    assert "--out is missing: expected the folder of the run" in run("invert", tmp_path, check=2)


def test_a_picture_without_a_face_is_no_internal_error() -> None:
    said, code = explain(NoFace("a.jpg: no face found"))
    assert (said, code) == ("a.jpg: no face found", Exit.FAILED)


def test_what_is_no_picture_is_one_line() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert pixels(grey, "source").shape == (8, 8, 3)
    see_through = np.zeros((8, 8, 4), np.uint8)
    assert (pixels(see_through, "source") == 255).all()  # white, not the black under it
    turned = Image.fromarray(np.zeros((8, 4, 3), np.uint8))
    turned.getexif()[0x0112] = 6
    assert pixels(turned, "source").shape == (4, 8, 3)
    wrong: list[tuple[Any, str]] = [
        ("me.jpg", "the source: expected a PIL picture or an array, found str"),
        (grey.astype(float), r"the source: expected uint8 \[H, W, 3\], found float64 \[8, 8\]"),
        (Image.fromarray(grey.astype(np.int32)), "the source has more than 8 bits"),
    ]
    for picture, message in wrong:
        with pytest.raises(ValueError, match=message):
            pixels(picture, "source")


@pytest.mark.slow
def test_methods_that_need_more_are_refused(plain: None) -> None:
    grey = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ConfigError, match="inverts no pictures"):
        mgi.invert(grey, profile="quick", method="exemplar-warp")
    settings = {"options.folder": str(ROOT), "options.content": "x"}
    with pytest.raises(ConfigError, match="given needs more than pictures"):
        mgi.translate(grey, grey, profile="quick", method="given", settings=settings)
    assert phases("translate", "quick") >= 1


def test_nothing_is_imported_before_it_is_used() -> None:
    loaded = "print('torch' in sys.modules, 'translate' in dir(mgi))"
    code = f"import mgi, sys; {loaded}; mgi.translate; {loaded}"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.split() == ["False", "True", "True", "True"]
    with pytest.raises(AttributeError, match="has no attribute 'no_such'"):
        mgi.no_such  # noqa: B018


def test_what_a_library_says_of_itself() -> None:
    assert mgi.__version__ == version("mgi") and "__version__" in dir(mgi)
    assert {"translate", "invert", "load_styled"} <= set(dir(mgi)) and not {"Any", "TYPE_CHECKING"} & set(dir(mgi))


def test_versions_in_one_line() -> None:
    assert run("--version").startswith("mgi ") and "PyTorch" in run("--version")
