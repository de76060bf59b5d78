"""Replaced pictures and whatever else goes wrong: missing files, quarantine, failed lanes, kills, older runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import marked
import pytest
from marked import change, forget
from replaced import content, markers, pairs, recomputed, replace, resume, translate
from runs import make_inputs

from storage.run_store import RunStore

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sources and two exemplars."""
    return make_inputs(tmp_path, 2)


def test_a_picture_that_vanished_keeps_its_results(folder: Path) -> None:
    translate(folder)
    before, finals = markers(folder / "run"), sorted((folder / "run" / "final").iterdir())
    (folder / "sources" / "s00.png").unlink()
    ended = resume(folder)
    assert ended.exit_code == 0 and "4 of 4 pairs done; nothing to compute" in ended.output
    assert "1 picture is gone since this run used it: what was made of it is kept (s00.png)" in ended.output
    replace(folder / "exemplars" / "e00.png")  # its pair with s00.png cannot be made again
    ended = resume(folder)
    assert ended.exit_code == 0 and "1 pair is computed again (e00.png)" in ended.output
    assert recomputed(before, markers(folder / "run")) == {pairs(folder / "run")["s01.png", "e00.png"]}
    assert sorted((folder / "run" / "final").iterdir()) == finals
    assert not (folder / "run" / "quarantine.csv").exists()
    replace(folder / "sources" / "s00.png")
    assert "2 pictures changed since this run used them: 2 pairs are computed again" in resume(folder).output


def test_a_quarantined_picture_is_tried_again_when_it_is_another(folder: Path) -> None:
    good = (folder / "sources" / "s00.png").read_bytes()
    (folder / "sources" / "s00.png").write_bytes(good[:600])
    assert translate(folder).exit_code == 3
    log = (folder / "run" / "log.jsonl").read_text()
    again = translate(folder)
    assert again.exit_code == 3 and "changed" not in again.output
    assert '"event": "unit"' not in (folder / "run" / "log.jsonl").read_text().removeprefix(log)

    (folder / "sources" / "s00.png").write_bytes(good)
    mended = translate(folder)
    assert mended.exit_code == 0, mended.output
    assert "1 picture changed since this run used it: 2 pairs are computed again (s00.png)" in mended.output
    assert "(computed: 2 warp, 6 invert, 2 score, 2 select)" in mended.output
    assert "nothing to compute" in translate(folder).output


def test_a_picture_that_a_csv_file_names_may_come_later(folder: Path) -> None:
    table = folder / "pairs.csv"
    table.write_text("source,exemplar\ns00.png,e00.png\ns01.png,later.png\n")
    assert translate(folder, "run", "--pairing", str(table)).exit_code == 3
    shutil.copy(folder / "exemplars" / "e01.png", folder / "exemplars" / "later.png")
    mended = resume(folder)
    assert mended.exit_code == 0 and "1 pair is computed again (later.png)" in mended.output


def test_another_csv_file_under_the_name_is_refused(folder: Path) -> None:
    table = folder / "pairs.csv"
    table.write_text("source,exemplar\ns00.png,e00.png\ns01.png,e01.png\n")
    assert translate(folder, "run", "--pairing", str(table)).exit_code == 0
    table.write_text("source,exemplar\ns00.png,e01.png\ns01.png,e01.png\n")
    refused = translate(folder, "run", "--pairing", str(table))
    assert refused.exit_code == 2 and "the CSV file, changed" in refused.output


def test_lanes_that_all_failed_are_tried_again_on_another_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_FAIL", "s00__e00")
    assert translate(folder).exit_code == 3
    monkeypatch.delenv("STUB_FAIL")
    assert resume(folder).exit_code == 3
    replace(folder / "sources" / "s00.png")
    assert resume(folder).exit_code == 0


@pytest.mark.parametrize("calls", [1, 4, 7])
def test_a_command_killed_while_it_takes_back_loses_nothing(
    folder: Path, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate(folder, "run", "--pairing", "zip")
    replace(folder / "sources" / "s00.png")
    left, forget = [calls], RunStore.forget

    def dying(store: RunStore, stage: str, *keys: str) -> None:
        for key in keys:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            forget(store, stage, key)

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "forget", dying)
        assert resume(folder).exit_code == 130
    assert resume(folder).exit_code == 0
    translate(folder, "fresh", "--pairing", "zip")
    for pair_id in pairs(folder / "run").values():
        assert content(folder / "run", pair_id) == content(folder / "fresh", pair_id)
    assert "nothing to compute" in resume(folder).output


def test_a_report_is_made_again_even_if_the_command_was_killed_before_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate(folder)
    page = folder / "run" / "report" / pairs(folder / "run")["s00.png", "e00.png"] / "source.jpg"
    before = page.read_bytes()
    replace(folder / "sources" / "s00.png")
    with monkeypatch.context() as patch:
        patch.setattr("flows.pipeline.report_run", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        assert resume(folder).exit_code == 130
    assert resume(folder).exit_code == 0
    assert page.read_bytes() != before


def test_a_run_of_an_older_version_takes_its_pictures_as_they_are(folder: Path) -> None:
    translate(folder)

    def without_inputs(content: dict[str, Any]) -> None:
        del content["payload"]["inputs"]

    change(folder / "run", "warp", without_inputs)
    (folder / "run" / ".inputs.json").unlink()
    before = markers(folder / "run")
    opened = translate(folder)
    assert opened.exit_code == 0 and "nothing to compute" in opened.output
    assert markers(folder / "run") == before
    replace(folder / "sources" / "s00.png")
    assert "1 picture changed since this run used it: 2 pairs are computed again" in resume(folder).output


def test_an_older_quarantine_takes_its_pictures_as_they_are(folder: Path) -> None:
    good = (folder / "sources" / "s00.png").read_bytes()
    (folder / "sources" / "s00.png").write_bytes(b"")
    translate(folder)
    forget(folder / "run", "refused", *marked.markers(folder / "run", "refused"))
    assert resume(folder).exit_code == 3
    (folder / "sources" / "s00.png").write_bytes(good)
    assert resume(folder).exit_code == 0
