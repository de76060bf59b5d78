"""`mgi invert`: usage, plan, a whole run on the stub, rungs, videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from marked import change, forget, markers
from PIL import Image
from runs import make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from storage.seal import opened, sealed


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 2)


pytestmark = pytest.mark.usefixtures("stub")


def invert(inputs: Path, run: Path, *more: str | Path) -> Result:
    arguments = ["invert", inputs / "sources", "--out", run, "--profile", inputs / "stub.toml", "--workers", "0", *more]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--method", "colourise"), "unknown method 'colourise'"),
        (("--degrade", "blur"), "expected none, down2 to down16"),
        (("--degrade", "mask:missing.png"), "missing.png"),
        (("--degrade", "rain", "--given"), "must be simulated"),
        (("--set", 'inversion.rungs=["2"]'), "expected STEPS:KEPT"),
        (("--video", "0"), "--video"),
    ],
)
def test_usage_errors_are_one_line_and_code_2(
    inputs: Path, tmp_path: Path, more: tuple[str, ...], expected: str
) -> None:
    result = invert(inputs, tmp_path / "run", *more)

    assert result.exit_code == 2, result.output
    assert expected in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_the_plan_names_method_and_degradation(inputs: Path, tmp_path: Path) -> None:
    result = invert(inputs, tmp_path / "run", "--method", "pulse", "--degrade", "down4", "--dry-run")

    assert result.exit_code == 0, result.output
    assert "pulse" in result.stdout and "degradation: down4" in result.stdout
    assert "L01N01" in result.stdout
    assert not (tmp_path / "run").exists()


def test_a_run_of_pictures_has_no_exemplars(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = invert(inputs, run, "--method", "mganprior", "--seed", "3")

    assert result.exit_code == 0, result.output
    header = json.loads((run / "run.json").read_text())
    assert header["config"]["task"] == "invert"
    assert header["config"]["inversion"]["method"] == "mganprior"
    assert header["inputs"]["exemplars"] == ""
    pairs = pd.read_csv(run / "tables" / "pairs.csv")
    assert list(pairs["state"]) == ["done", "done"]
    assert pairs["exemplar"].isna().all()
    assert len(list((run / "final").glob("*.png"))) == 2
    page = (run / "report.html").read_text()
    assert "mgi invert" in page and "--method mganprior" in page and ">observed</span>" in page
    assert all('"warp":"as observed"' in path.read_text() for path in run.glob("report/*/pair.js"))
    again = invert(inputs, run, "--method", "mganprior", "--seed", "3")
    assert "nothing to compute" in again.output
    other = invert(inputs, run, "--method", "pulse", "--seed", "3")
    assert other.exit_code == 2 and "holds another run" in other.output


def test_rungs_invert_a_pairs_hypotheses_in_one_call(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stub_method import StubMethod

    calls: list[list[str]] = []
    original = StubMethod.invert

    def counted(self, lanes, progress=None):  # type: ignore[no-untyped-def]
        calls.append([lane.hypothesis.id for lane in lanes])
        return original(self, lanes, progress)

    monkeypatch.setattr(StubMethod, "invert", counted)
    more = ("--set", 'inversion.hypotheses=["L04N03", "L05N03"]', "--set", 'inversion.rungs=["2:1"]')
    assert invert(inputs, tmp_path / "run", *more).exit_code == 0
    assert calls == [["L04N03", "L05N03"]] * 2


def test_a_pair_that_lacks_one_lane_of_its_group_keeps_the_others(inputs: Path, tmp_path: Path) -> None:
    more = ("--set", 'inversion.hypotheses=["L04N03", "L05N03"]', "--set", 'inversion.rungs=["2:1"]', "--limit", "1")
    run = tmp_path / "run"
    assert invert(inputs, run, *more).exit_code == 0
    kept, gone = sorted(markers(run, "invert"))
    before = markers(run, "invert")
    forget(run, "invert", gone)
    result = invert(inputs, run, *more)
    assert "1 invert" in result.output, result.output
    after = markers(run, "invert")
    assert after[kept] == before[kept] and after[gone]["arrays"] == before[gone]["arrays"]


@pytest.fixture
def webp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here writes MP4, which tests/tasks/test_movie.py is about."""
    from tasks.report.movie import NoEncoder

    def refuse(frames: object) -> bytes:
        raise NoEncoder

    monkeypatch.setattr("tasks.report.video.writes_mp4", lambda: False)
    monkeypatch.setattr("tasks.report.movie._mp4", refuse)


def test_videos_show_the_trajectory(inputs: Path, tmp_path: Path, webp: None) -> None:
    run = tmp_path / "run"
    result = invert(inputs, run, "--video", "1")

    assert result.exit_code == 0, result.output
    (video,) = (run / "videos").glob("*.webp")
    assert "for MP4 install ffmpeg, or PyAV by `pip install av`" in result.stderr
    with Image.open(video) as picture:
        assert picture.n_frames > 1
        assert picture.size == (512, 256)


def test_videos_are_of_pictures_that_have_a_result(tmp_path: Path, webp: None) -> None:
    inputs = make_inputs(tmp_path / "in", 2)
    (inputs / "sources" / "a-first-one.png").write_text("no picture")
    result = invert(inputs, tmp_path / "run", "--video", "1")
    assert result.exit_code == 3, result.output
    (video,) = (tmp_path / "run" / "videos").glob("*.webp")
    assert video.stem.startswith("s00")


def test_runs_of_earlier_versions_that_kept_a_way_continue_and_make_videos(
    inputs: Path, tmp_path: Path, webp: None
) -> None:
    run = tmp_path / "run"
    result = invert(inputs, run, "--video", "1")
    assert result.exit_code == 0, result.output
    (video,) = (run / "videos").glob("*.webp")
    before, finals = video.read_bytes(), {path: path.read_bytes() for path in (run / "final").glob("*.png")}
    video.unlink()
    (run / "run.zarr" / "trajectory").rename(run / "run.zarr" / "way")
    content, _ = opened((run / "run.json").read_bytes())
    (run / "run.json").write_bytes(sealed({**content, "layout": {}}))

    def rename(content: dict[str, Any]) -> None:
        content["arrays"] = {name.replace("trajectory/", "way/"): value for name, value in content["arrays"].items()}

    change(run, "invert", rename)
    forget(run, "invert", *(key for key in markers(run, "invert") if key.startswith(f"{video.stem}.")))
    for path in finals:
        path.unlink()

    again = invert(inputs, run, "--video", "1")

    assert again.exit_code == 0, again.output
    assert video.read_bytes() == before
    assert {path: path.read_bytes() for path in (run / "final").glob("*.png")} == finals
    assert not (run / "run.zarr" / "trajectory").exists()


def test_translate_takes_a_method(inputs: Path, tmp_path: Path) -> None:
    arguments = ["translate", inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run", "--dry-run"]
    arguments += ["--profile", "quick", "--method", "single-code"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "single-code" in result.stdout and "L01N01" in result.stdout
