"""Runs that grow, on the stub: only what is new is computed, choices are made again, kills leave nothing half done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from growing import asked, decided, settled, write
from marked import markers
from PIL import Image
from runs import edited, make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from storage.run_changes import unapplied
from storage.run_store import RunStore
from tasks.growth import reselection
from tasks.report.pictures import Pictures

MORE = ["L04N03", "L05N02", "L06N04", "L07N05"]


SETTINGS = ("MGI_PROFILE", "MGI_WORKERS", "PREFECT_API_URL")


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")


def mgi(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code in (0, 3), result.output
    return result


def translate(inputs: Path, run: Path, *more: str) -> Result:
    folders = (inputs / "sources", inputs / "exemplars")
    return mgi("translate", *folders, "--out", run, "--profile", inputs / "stub.toml", "--workers", "0", *more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`inputs/` and `run/`: two finished pairs under three hypotheses."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as context:
        for name in SETTINGS:
            context.delenv(name, raising=False)
        context.setenv("MGI_METHOD_FACTORY", "stub_method:load")
        translate(make_inputs(folder / "inputs", 2), folder / "run")
    return folder


@pytest.fixture
def inputs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "inputs", tmp_path / "inputs"))


@pytest.fixture
def run(made: Path, tmp_path: Path, inputs: Path) -> Path:
    """That run, moved to its own folder."""
    shutil.copytree(made / "run", tmp_path / "run")
    edited(tmp_path / "run" / "run.json", lambda text: text.replace(str(made), str(tmp_path)))
    return tmp_path / "run"


def add_images(inputs: Path) -> None:
    """Adds one picture to each folder, after the others."""
    for side in ("sources", "exemplars"):
        Image.new("RGB", (40, 36), "teal").save(inputs / side / f"{side[0]}02.png")


def finals(run: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted((run / "final").glob("*.png"))}


def check_same_pictures(run: Path, other: Path) -> None:
    found, expected = finals(run), finals(other)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_new_pairs_are_computed_alone(inputs: Path, run: Path, tmp_path: Path) -> None:
    before = {stage: markers(run, stage) for stage in ("warp", "invert", "score", "select")}
    add_images(inputs)
    write(run, decided(run, asked(inputs), extending=True))
    assert settled(run) == ["pairs"] and settled(run) == []
    mgi("resume", run, "--workers", "0")
    for stage, old in before.items():
        now = markers(run, stage)
        assert len(now) == len(old) / 2 * 3
        assert {key: now[key] for key in old} == old, f"{stage} of old pairs is not repeated"
    translate(inputs, tmp_path / "whole")
    check_same_pictures(run, tmp_path / "whole")


def test_new_hypotheses_are_computed_alone_and_compete_with_the_old_ones(
    inputs: Path, run: Path, tmp_path: Path
) -> None:
    before = {stage: markers(run, stage) for stage in ("warp", "invert", "score")}
    kept = finals(run)
    more = asked(inputs, inversion__hypotheses=MORE)
    write(run, decided(run, more), more)
    assert settled(run) == ["hypotheses"]
    assert finals(run).keys() == kept.keys(), "results stay until they are replaced"
    assert not markers(run, "score") and not markers(run, "select")
    mgi("resume", run, "--workers", "0")
    assert markers(run, "warp") == before["warp"]
    lanes = markers(run, "invert")
    assert {key: lanes[key] for key in before["invert"]} == before["invert"] and len(lanes) == 8
    scored = [content["payload"]["scores"] for content in markers(run, "score").values()]
    assert [list(scores) for scores in scored] == [MORE, MORE]
    translate(inputs, tmp_path / "whole", "--set", f"inversion.hypotheses={json.dumps(MORE)}")
    check_same_pictures(run, tmp_path / "whole")


def test_pairs_that_failed_for_want_of_a_hypothesis_get_the_new_ones(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("STUB_FAIL", "s01")
    translate(inputs, run)
    assert len(RunStore.open(run).quarantined()) == 1
    monkeypatch.delenv("STUB_FAIL")
    more = asked(inputs, inversion__hypotheses=MORE)
    write(run, decided(run, more), more)
    settled(run)
    mgi("resume", run, "--workers", "0")
    chosen = {key: content["payload"]["hypothesis"] for key, content in markers(run, "select").items()}
    assert len(chosen) == 2 and next(name for key, name in chosen.items() if "s01" in key) == "L07N05"


def test_another_rule_chooses_again_and_computes_nothing_else(run: Path) -> None:
    before = {stage: markers(run, stage) for stage in ("warp", "invert", "score")}
    found = reselection(str(run), RunStore.open(run).header, "set-fid", None)
    assert found is not None
    write(run, found)
    assert finals(run), "nothing is taken back before the run is opened for work"
    assert settled(run) == ["selection"]
    assert not finals(run) and not markers(run, "select"), "no result of the old rule is left beside those of the new"
    mgi("resume", run, "--workers", "0")
    rules = [content["payload"]["rule"] for content in markers(run, "select").values()]
    assert rules == ["set-fid", "set-fid"] and len(finals(run)) == 2
    assert before == {stage: markers(run, stage) for stage in before}


def test_a_rule_for_whole_sets_chooses_again_for_all_when_pairs_are_added(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--set", "selection.rule=set-fid")
    add_images(inputs)
    write(run, decided(run, asked(inputs, selection__rule="set-fid"), extending=True))
    settled(run)
    assert not markers(run, "select") and len(markers(run, "score")) == 2


@pytest.mark.parametrize("allowed", range(6))
def test_what_a_killed_process_left_is_taken_back_by_the_next(
    run: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    found = reselection(str(run), RunStore.open(run).header, "set-fid", None)
    assert found is not None
    write(run, found)
    count, unlink = 0, Path.unlink

    def killing(self: Path, missing_ok: bool = False) -> None:
        nonlocal count
        if run in self.parents and not self.name.startswith("."):
            count += 1
            if count > allowed:
                raise KeyboardInterrupt
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", killing)
    with pytest.raises(KeyboardInterrupt):
        settled(run)
    monkeypatch.setattr(Path, "unlink", unlink)
    assert len(unapplied(RunStore.open(run).header)) == 1
    assert settled(run) == ["selection"]
    assert not finals(run) and not markers(run, "select")


def test_the_report_shows_the_result_that_took_the_place_of_another(run: Path) -> None:
    store = RunStore.open(run)
    pair_id = str(store.pairs["id"][0])
    pictures = Pictures(store)
    shown = run / str(pictures.result(pair_id))
    Image.new("RGB", (8, 8), "red").save(run / "final" / f"{pair_id}.png")
    pictures.result(pair_id)
    assert np.asarray(Image.open(shown))[0, 0, 0] > 200
    before = shown.stat().st_mtime_ns
    pictures.result(pair_id)
    assert shown.stat().st_mtime_ns == before, "and is made once"
