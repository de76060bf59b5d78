"""Formats of run.json: older ones are migrated as they are read, newer ones refused; changes give the present one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage import run_header
from storage.run_changes import applied, grown, unapplied
from storage.run_header import FORMAT, MIGRATIONS, NoRun

FIRST = {"format": 1, "digest": "abc", "config": {"a": {"x": 1}, "b": 2}, "inputs": {"limit": None, "seed": 3}}


def change(applied: bool = True, **set: object) -> dict[str, object]:
    return {"what": "selection", "set": {key.replace("__", "."): set[key] for key in set}, "applied": applied}


def test_a_run_of_format_1_is_read_as_the_newest_and_its_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(FIRST))
    before = path.read_bytes()
    assert run_header.read(path) == {**FIRST, "format": FORMAT, "changes": []}
    assert path.read_bytes() == before


def test_there_is_a_step_from_every_format() -> None:
    assert sorted(MIGRATIONS) == list(range(1, FORMAT))


def test_formats_are_migrated_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_header, "FORMAT", 3)
    monkeypatch.setitem(MIGRATIONS, 2, lambda header: {**header, "steps": len(header["changes"])})
    (tmp_path / "run.json").write_text(json.dumps(FIRST))
    assert run_header.read(tmp_path / "run.json") == {**FIRST, "format": 3, "changes": [], "steps": 0}


def test_a_newer_format_is_refused_by_both_numbers(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**FIRST, "format": 9}))
    with pytest.raises(NoRun, match=rf"is of format 9, and this version of mgi reads formats up to {FORMAT}; use"):
        run_header.read(tmp_path / "run.json")


@pytest.mark.parametrize("number", [None, "1", 0, 1.5])
def test_what_is_no_number_is_no_format(tmp_path: Path, number: object) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**FIRST, "format": number}))
    with pytest.raises(NoRun, match="is no header of a run"):
        run_header.read(tmp_path / "run.json")


def test_what_is_written_is_of_the_newest_format(tmp_path: Path) -> None:
    run_header.write(tmp_path / "run.json", FIRST)
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["format"] == FORMAT and written["changes"] == []


def test_changes_are_laid_over_what_the_run_began_with() -> None:
    header = {**FIRST, "changes": [change(a__x=5), change(False, a__x=6, a__y=7, inputs__limit=4)]}
    assert grown(header)["config"] == {"a": {"x": 6, "y": 7}, "b": 2}
    assert grown(header)["inputs"] == {"limit": 4, "seed": 3}
    assert grown(header, 1)["config"]["a"] == {"x": 5} and grown(header, 1)["inputs"] == FIRST["inputs"]
    assert grown(header, 0)["config"] == FIRST["config"] == header["config"], "the header itself stays"
    assert unapplied(header) == header["changes"][1:]
    assert unapplied(applied(header)) == []
