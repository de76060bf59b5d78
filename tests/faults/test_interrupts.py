"""Ctrl-C, a closed terminal and a polite kill: one line, exit code 130, and the truth about what can be continued."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from dask_processes import started
from runs import command, make_inputs, mgi, results, translate_command
from typer.testing import CliRunner

from flows.cli import app


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 3)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    "sent", [signal.SIGINT, *(pytest.param(other, marks=pytest.mark.long) for other in (signal.SIGHUP, signal.SIGTERM))]
)
def test_a_signal_to_all_processes(inputs: Path, tmp_path: Path, workers: str, sent: signal.Signals) -> None:
    """A terminal sends Ctrl-C and its own end to the command and to all its workers."""
    run = tmp_path / "run"
    begun = lambda: any((run / "done" / "invert").glob("*.json"))  # noqa: E731
    with started(translate_command(inputs, run, "--workers", workers), begun, STUB_SECONDS="0.5") as ours:
        (os.kill if sent == signal.SIGTERM else os.killpg)(ours.pid, sent)
        _, told = ours.communicate(timeout=60)
    assert ours.returncode == 130, told
    lines = [line for line in told.splitlines() if "pairs" not in line and "preview" not in line]
    assert lines == [f"mgi: interrupted; `mgi resume {run}` continues where it stopped"], told

    assert mgi(command("resume", run, "--workers", "0")).returncode == 0
    assert len(results(run)) == 3


def test_nobody_is_sent_to_a_run_that_does_not_exist(
    inputs: Path, tmp_path: Path, stub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.pipeline.plan_for", interrupt)
    folders = (str(inputs / "sources"), str(inputs / "exemplars"))
    ended = CliRunner().invoke(app, ["translate", *folders, "--out", str(tmp_path / "run"), "--workers", "0"])
    assert (ended.exit_code, ended.stderr) == (130, "mgi: interrupted\n")
