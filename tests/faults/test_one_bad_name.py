"""One picture whose name or folder cannot be used is set aside with its reason; the others go on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from growing import mgi, translate
from runs import make_inputs

from storage.folders import list_images
from storage.images import BadImage, read_image
from storage.run_store import RunStore

pytestmark = pytest.mark.usefixtures("stub")

PAIRS = 2


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    return make_inputs(tmp_path / "in", PAIRS)


def listed(inputs: Path, *bad: str) -> Path:
    """A CSV of the good pairs, with bad sources between them."""
    rows = ["source,exemplar", "s00.png,e00.png", *(f"{name},e00.png" for name in bad), "s01.png,e01.png"]
    path = inputs / "pairs.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def reasons(run: Path, expected: int) -> list[str]:
    """Why pairs are in quarantine, after checking that all others are done, and that a resume ends in the same way."""
    store = RunStore.open(run)
    found = [entry.reason for entry in store.quarantined().values()]
    assert len(list((run / "final").glob("*.png"))) == PAIRS
    assert len(found) == expected and not any("\n" in reason for reason in found)
    again = mgi("resume", run, "--workers", "0", code=3)
    assert "internal error" not in again.output
    assert [entry.reason for entry in store.quarantined().values()] == found
    return found


def test_a_name_that_is_too_long_for_a_file(inputs: Path, tmp_path: Path) -> None:
    run, name = tmp_path / "run", "x" * 300 + ".png"
    translate(inputs, run, "--pairing", listed(inputs, name), code=3)
    (reason,) = reasons(run, 1)
    assert name in reason and "File name too long" in reason


def test_a_folder_that_cannot_be_entered(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, locked, look = tmp_path / "run", inputs / "sources" / "locked", os.stat
    locked.mkdir()
    (locked / "a.png").write_bytes((inputs / "sources" / "s00.png").read_bytes())
    locked.chmod(0o000)

    def refuse(path: object, *args: object, **more: object) -> os.stat_result:
        if str(path).startswith(f"{locked}/"):  # root enters any folder, so the system's refusal is imitated
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", refuse)
    try:
        translate(inputs, run, "--pairing", listed(inputs, "locked/a.png"), code=3)
        (reason,) = reasons(run, 1)
    finally:
        locked.chmod(0o700)
    assert "locked/a.png" in reason and "Permission denied" in reason


def test_a_name_with_a_zero_byte(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--pairing", listed(inputs, "a\0b.png"), code=3)
    (reason,) = reasons(run, 1)
    assert "null byte" in reason


def not_utf8(inputs: Path) -> None:
    source = (inputs / "sources" / "s00.png").read_bytes()
    Path(os.fsdecode(os.fsencode(inputs) + b"/sources/caf\xe9.png")).write_bytes(source)


def test_a_file_name_that_is_not_utf8(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    not_utf8(inputs)
    (inputs / "exemplars" / "e01.png").unlink()
    translate(inputs, run, code=3)
    (reason,) = reasons(run, 1)
    assert "caf\\xe9.png" in reason and "not UTF-8" in reason and "rename" in reason


def test_a_name_that_is_not_utf8_stands_in_the_list_of_images(inputs: Path) -> None:
    not_utf8(inputs)
    names = list_images(inputs / "sources")
    assert names == ["caf\\xe9.png", "s00.png", "s01.png"]
    assert all(name.encode() for name in names)


def test_a_literal_backslash_is_a_name_like_any_other(inputs: Path) -> None:
    path = inputs / "sources" / "caf\\xe9.png"
    path.write_bytes((inputs / "sources" / "s00.png").read_bytes())
    assert read_image(path).pixels.shape == (36, 40, 3)
    path.unlink()
    with pytest.raises(BadImage, match="does not exist"):
        read_image(path)
