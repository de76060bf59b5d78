"""A folder of pictures that vanished is an outage: the command stops, names it, and sets nothing aside."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs
from growing import computed, mgi, translate
from runs import make_inputs

from storage.run_store import RunStore
from tasks.stages import from_files

pytestmark = pytest.mark.usefixtures("stub")

PAIRS = 3


def vanish(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def unmount(folder: Path) -> None:
    """What is left of a disk that is not there: an empty folder, in which somebody may have left a hidden file."""
    vanish(folder)
    folder.mkdir()
    (folder / ".keep").touch()


def replace_by_a_file(folder: Path) -> None:
    vanish(folder)
    folder.touch()


def bring_back(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.unlink(missing_ok=True)
    folder.with_name("away").rename(folder)


OUTAGES = {vanish: "is gone", unmount: "is empty", replace_by_a_file: "is no folder"}


@pytest.mark.parametrize(("happen", "side"), list(zip(OUTAGES, ("sources", "exemplars", "sources"), strict=True)))
def test_an_outage_stops_a_run_and_sets_nothing_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happen: Callable[[Path], None], side: str
) -> None:
    inputs, run = make_inputs(tmp_path / "in", PAIRS), tmp_path / "run"
    folder, look, looks = inputs / side, from_files.identities, 0

    def at_the_second_pair(paths: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            happen(folder)
        return look(paths)

    monkeypatch.setattr(from_files, "identities", at_the_second_pair)
    ended = [translate(inputs, run, code=1), mgi("resume", run, "--workers", "0", code=1)]

    for result in ended:
        (line,) = [line for line in result.output.splitlines() if line.startswith("mgi: ")]
        assert str(folder) in line and OUTAGES[happen] in line and f"`mgi resume {run}`" in line
    assert RunStore.open(run).quarantined() == {}
    assert not (run / "done" / "refused").exists()

    bring_back(folder)
    mgi("resume", run, "--workers", "0")
    assert len(list((run / "final").glob("*.png"))) == PAIRS
    assert [stage for stage, _ in computed(run)].count("warp") == PAIRS


def test_a_missing_picture_in_a_folder_that_is_there_is_set_aside(tmp_path: Path) -> None:
    inputs, run = make_inputs(tmp_path / "in", PAIRS), tmp_path / "run"
    pairs = inputs / "pairs.csv"
    pairs.write_text("source,exemplar\ns00.png,e00.png\ngone.png,e01.png\n", encoding="utf-8")
    translate(inputs, run, "--pairing", pairs, code=3)
    assert [entry.reason for entry in RunStore.open(run).quarantined().values()] != []


def test_a_finished_run_outlives_its_pictures(tmp_path: Path) -> None:
    inputs, run = make_inputs(tmp_path / "in", PAIRS), tmp_path / "run"
    translate(inputs, run)
    vanish(inputs / "sources")
    mgi("resume", run, "--workers", "0")


@pytest.mark.long
@pytest.mark.slow
def test_an_outage_on_a_worker_stops_the_run(tmp_path: Path) -> None:
    inputs, run = make_inputs(tmp_path / "in", PAIRS), tmp_path / "run"
    pairs = inputs / "pairs.csv"
    pairs.write_text("source,exemplar\ns00.png,e00.png\ns01.png,e01.png\n", encoding="utf-8")
    unmount(inputs / "exemplars")
    ended = runs.mgi(runs.translate_command(inputs, run, "--pairing", pairs, "--workers", "2"))
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert [line for line in ended.stderr.splitlines() if line.startswith("mgi: ") and "exemplars is empty" in line]
    assert RunStore.open(run).quarantined() == {}


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage import folders

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(folders.os, "scandir", refuse)  # root lists any folder
    with pytest.raises(folders.FolderGone, match=r"cannot be listed \(Permission denied\).*mgi resume R"):
        folders.require_folder(tmp_path, "R")
