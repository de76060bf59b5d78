"""A picture that is replaced under its name: exactly its pairs are computed again, and the command says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from replaced import content, markers, mgi, pairs, recomputed, replace, resume, translate
from runs import make_inputs

from flows.arguments import Arguments
from flows.pipeline import request_of, resume_run, translate_run
from flows.progress import Silent
from storage import file_identity
from storage.run_store import RunStore
from tasks import inputs as looking
from tasks.stages.ledger import Ledger
from tasks.unit import Job

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sources and two exemplars."""
    return make_inputs(tmp_path, 2)


def test_exactly_the_pairs_of_a_replaced_picture_are_computed_again(folder: Path) -> None:
    assert translate(folder).exit_code == 0
    ids, before = pairs(folder / "run"), markers(folder / "run")
    replace(folder / "sources" / "s01.png")

    again = translate(folder)

    assert again.exit_code == 0
    assert "1 picture changed since this run used it: 2 pairs are computed again (s01.png)" in again.output
    assert "(computed: 2 warp, 6 invert, 2 score, 2 select)" in again.output
    assert recomputed(before, markers(folder / "run")) == {ids["s01.png", "e00.png"], ids["s01.png", "e01.png"]}
    assert translate(folder, "fresh").exit_code == 0
    for pair_id in ids.values():
        assert content(folder / "run", pair_id) == content(folder / "fresh", pair_id)
    third = resume(folder)
    assert "nothing to compute" in third.output and "changed" not in third.output


def test_two_replaced_pictures_share_a_pair(folder: Path) -> None:
    translate(folder)
    ids, before = pairs(folder / "run"), markers(folder / "run")
    replace(folder / "sources" / "s00.png", 1)
    replace(folder / "exemplars" / "e01.png", 2)
    again = resume(folder)
    assert "2 pictures changed since this run used them: 3 pairs are computed again" in again.output
    assert "s00.png" in again.output and "e01.png" in again.output
    assert recomputed(before, markers(folder / "run")) == set(ids.values()) - {ids["s01.png", "e00.png"]}


def test_many_replaced_pictures_are_not_all_named(tmp_path: Path) -> None:
    folder = make_inputs(tmp_path, 7)
    translate(folder, "run", "--pairing", "zip")
    for path in (folder / "sources").iterdir():
        replace(path)
    said = resume(folder).output
    assert "7 pictures changed since this run used them: 7 pairs are computed again" in said
    assert "(s00.png, s01.png, s02.png, s03.png, s04.png, and 2 more)" in said


def test_the_page_and_the_sheet_show_the_new_picture(folder: Path) -> None:
    translate(folder)
    pair_id = pairs(folder / "run")["s00.png", "e00.png"]
    shown, other = (folder / "run" / "report" / id for id in (pair_id, pairs(folder / "run")["s01.png", "e00.png"]))
    before, kept = (shown / "source.jpg").read_bytes(), (other / "source.jpg").stat().st_mtime_ns
    sheet = (folder / "run" / "contact_sheet.png").read_bytes()
    replace(folder / "sources" / "s00.png")
    resume(folder)
    assert (shown / "source.jpg").read_bytes() != before
    assert (other / "source.jpg").stat().st_mtime_ns == kept
    assert (folder / "run" / "contact_sheet.png").read_bytes() != sheet


def test_strips_and_videos_of_the_old_picture_go(folder: Path) -> None:
    translate(folder)
    ids, run = pairs(folder / "run"), folder / "run"
    old, other = ids["s00.png", "e00.png"], ids["s01.png", "e00.png"]
    made = [
        run / "videos" / "{}.webp",
        run / "videos" / "{}.mp4",
        run / "edits" / "age" / "{}.png",
        run / "edits" / "age" / "{}" / "+2.png",
    ]
    for path in made:
        for pair_id in (old, other):
            file = Path(str(path).format(pair_id))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"picture")
    replace(folder / "sources" / "s00.png")
    resume(folder)
    assert not any(Path(str(path).format(old)).exists() for path in made)
    assert all(Path(str(path).format(other)).exists() for path in made)


def test_a_touched_picture_is_the_same_and_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translate(folder)
    before = markers(folder / "run")
    (folder / "sources" / "s00.png").touch()
    shutil.copy2(folder / "exemplars" / "e00.png", folder / "copy.png")
    (folder / "copy.png").replace(folder / "exemplars" / "e00.png")  # the same content brought again
    first = translate(folder)
    assert "nothing to compute" in first.output and "changed" not in first.output
    monkeypatch.setattr(file_identity, "_sha256", lambda path: pytest.fail(f"{path} was read again"))
    assert "nothing to compute" in translate(folder).output
    assert markers(folder / "run") == before


def test_size_and_time_of_the_old_picture_hide_nothing(folder: Path) -> None:
    path = folder / "sources" / "s00.png"
    noise = [np.random.default_rng(seed).integers(0, 256, (36, 40, 3), dtype=np.uint8) for seed in (1, 2)]
    path.unlink()
    path = path.with_suffix(".bmp")
    Image.fromarray(noise[0]).save(path)
    translate(folder)
    old = path.stat()
    Image.fromarray(noise[1]).save(path)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    assert "1 picture changed" in resume(folder).output


def test_a_finished_run_is_looked_at_without_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translate(folder)
    looks: list[str] = []
    stamp = file_identity._stamp
    monkeypatch.setattr(file_identity, "_stamp", lambda path: (looks.append(path), stamp(path))[1])
    monkeypatch.setattr(file_identity, "_sha256", lambda path: pytest.fail(f"{path} was read"))
    run = Job(str(folder / "run"), RunStore.open(folder / "run").header["digest"]).open()
    monkeypatch.setattr(RunStore, "done", lambda *arguments: pytest.fail("a marker was read"))
    assert looking.look(Ledger(run)).pairs == []
    assert len(looks) == len(set(looks)) == 4  # pairs share pictures


@pytest.mark.parametrize("damage", ['{"format": 1, "pairs": {"a": [[1]]}}', '{"format": 9}'])
def test_without_its_index_a_run_knows_its_pictures_from_the_markers(folder: Path, damage: str) -> None:
    translate(folder)
    (folder / "run" / ".inputs.json").write_text(damage)
    replace(folder / "sources" / "s00.png")
    assert "2 pairs are computed again" in resume(folder).output


class Meddler(Silent):
    """Replaces a picture as soon as the first pair was warped, and collects what is said."""

    def __init__(self, picture: Path) -> None:
        self.picture, self.warped, self.said = picture, [], []  # type: ignore[var-annotated]

    def finish(self, stage: str, key: str, failed: str | None) -> None:
        if stage == "warp" and not self.warped:
            replace(self.picture)
        if stage == "warp":
            self.warped.append(key)

    def say(self, text: str) -> None:
        self.said.append(text)


def test_a_picture_that_is_replaced_after_its_warp_is_noticed(folder: Path) -> None:
    run, meddler = folder / "run", Meddler(folder / "exemplars" / "e00.png")
    sides = str(folder / "sources"), str(folder / "exemplars")
    asked = Arguments("translate", *sides, profile=str(folder / "stub.toml"), pairing="product")
    translate_run(request_of(asked), str(run), 0, None, meddler)
    stale = meddler.warped[0]
    assert stale == pairs(run)["s00.png", "e00.png"]
    (line,) = [text for text in meddler.said if "changed" in text]
    assert line.startswith("1 picture changed since this run used it: `mgi resume ")
    assert line.endswith("computes 1 pair again (e00.png)")

    before = markers(run)
    summary = resume_run(str(run), 0, None, Silent())  # s01.png + e00.png was warped with the new picture
    assert recomputed(before, markers(run)) == {stale}
    assert summary.computed == {"warp": 1, "invert": 3, "score": 1, "select": 1}


def test_under_set_fid_the_whole_set_is_chosen_again(folder: Path) -> None:
    translate(folder, "run", "--set", "selection.rule=set-fid")
    ids, before = pairs(folder / "run"), markers(folder / "run")
    replace(folder / "sources" / "s00.png")
    assert "2 pairs are computed again" in resume(folder).output
    after = markers(folder / "run")
    chosen = {name for name in after if name.startswith("select/") and before[name] != after[name]}
    assert chosen == {f"select/{pair_id}" for pair_id in ids.values()}
    warped = {name for name in after if name.startswith("warp/") and before[name] != after[name]}
    assert warped == {f"warp/{ids['s00.png', name]}" for name in ("e00.png", "e01.png")}


def test_inverted_pictures_are_inputs_too(folder: Path) -> None:
    given = ("--out", folder / "run", "--profile", folder / "stub.toml", "--workers", "0")
    assert mgi("invert", folder / "sources", *given).exit_code == 0
    replace(folder / "sources" / "s01.png")
    again = mgi("invert", folder / "sources", *given)
    assert "1 picture changed since this run used it: 1 pair is computed again (s01.png)" in again.output


def test_a_run_that_takes_the_place_of_another_has_its_own_pictures(folder: Path) -> None:
    """One process, one folder, one configuration, other inputs: what a long-lived worker meets."""
    translate(folder)
    shutil.rmtree(folder / "run")
    other = make_inputs(folder / "other", 2)
    for path in (other / "sources").iterdir():
        replace(path)
    given = ("--profile", folder / "stub.toml", "--workers", "0", "--pairing", "product")
    assert mgi("translate", other / "sources", other / "exemplars", "--out", folder / "run", *given).exit_code == 0
    assert mgi("translate", other / "sources", other / "exemplars", "--out", folder / "fresh", *given).exit_code == 0
    for pair_id in pairs(folder / "run").values():
        assert content(folder / "run", pair_id) == content(folder / "fresh", pair_id)
