"""`mgi clean`: what can be made again goes, everything else stays, and comes back byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from growing import mgi, translate
from runs import make_inputs

pytestmark = pytest.mark.usefixtures("stub")


def content(run: Path) -> dict[str, bytes]:
    kept = (path for path in run.rglob("*") if path.is_file() and path.name not in ("log.jsonl", ".lock", ".boot"))
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in kept}


def test_what_goes_can_be_made_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(make_inputs(tmp_path / "in", 2), run)
    (run / "pasted").mkdir()
    (run / "pasted" / "x.png").write_bytes(b"x" * 3000)
    before = content(run)
    told = json.loads(mgi("clean", run, "--dry-run", "--json").output)["parts"]
    assert {one["name"] for one in told} == {"report.html", "report", "contact_sheet.png", "tables", "pasted"}
    assert {"name": "pasted", "bytes": 3000, "command": "mgi paste"} in told
    assert content(run) == before
    said = mgi("clean", run).output
    assert "mgi report makes it again" in said and "MiB are free again" in said
    left = content(run)
    assert {name.split("/")[0] for name in before.keys() - left.keys()} == {*(one["name"] for one in told), "done"}
    assert {name: before[name] for name in left} == left
    mgi("verify", run)  # nothing is missed
    assert "nothing to remove" in mgi("clean", run).output
    mgi("resume", run, "--workers", "0")  # as `mgi report`, and its marker
    again = content(run)
    assert {name for name in before if not name.startswith("pasted")} == again.keys()
    assert all(again[name] == before[name] for name in again if name.startswith(("tables/", "final/", "contact")))


def test_no_run_is_one_line(tmp_path: Path) -> None:
    assert "Traceback" not in mgi("clean", tmp_path, code=2).output
