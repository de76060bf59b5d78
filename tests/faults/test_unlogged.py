"""A command is killed between the publication of a unit and its line in the log: the next one writes the line."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from runs import make_inputs
from typer.testing import CliRunner

from flows.cli import app
from flows.session import Session

pytestmark = pytest.mark.usefixtures("stub")


class Killed(BaseException):
    """Ends a command as no `except` expects."""


def mgi(*arguments: str | Path) -> int:
    return CliRunner().invoke(app, [str(argument) for argument in arguments]).exit_code


def units(run: Path) -> list[dict[str, Any]]:
    events = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [event for event in events if event["event"] == "unit"]


@pytest.fixture
def start(tmp_path: Path) -> list[str | Path]:
    inputs = make_inputs(tmp_path / "inputs", 2)
    folders = [inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run"]
    return ["translate", *folders, "--profile", inputs / "stub.toml", "--workers", "0"]


@pytest.mark.parametrize("moment", [1, 5, 12])
def test_every_published_unit_has_one_line(
    tmp_path: Path, start: list[str | Path], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    run, record, count = tmp_path / "run", Session._record, iter(range(1, 1000))

    def killed(session: Session, *arguments: Any) -> None:
        if next(count) == moment:
            raise Killed
        record(session, *arguments)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Session, "_record", killed)
        mgi(*start)
    log = run / "log.jsonl"  # what a killed command writes: no "stopped", and perhaps half a line
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]) + '{"event": "un')
    logged = log.read_text().count('"event": "unit"')
    marked = {(path.parent.name, path.stem) for path in (run / "done").glob("*/[!.]*.json")}

    assert mgi("resume", run, "--workers", "0") == 0
    log.write_text(log.read_text().replace('{"event": "un\n', ""))
    found = Counter((unit["stage"], unit["key"]) for unit in units(run))
    assert marked <= set(found) and set(found.values()) == {1}
    late = [unit for unit in units(run) if unit.get("late")]
    assert len(late) == len(marked) - logged > 0
    assert mgi("resume", run, "--workers", "0") == 0
    assert len(units(run)) == sum(found.values())  # the last command ended well: nothing is looked for


def test_a_run_that_ends_well_logs_no_late_unit(tmp_path: Path, start: list[str | Path]) -> None:
    assert mgi(*start) == mgi("resume", tmp_path / "run", "--workers", "0") == 0
    assert not [unit for unit in units(tmp_path / "run") if unit.get("late")]
