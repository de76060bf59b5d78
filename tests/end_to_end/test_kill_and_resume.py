"""kill -9 at any moment, then `mgi resume`: nothing done is computed again, and the results have the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from marked import every_marker
from runs import command, environment, make_inputs, mgi, results, translate_command

PAIRS, HYPOTHESES = 4, 3


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), PAIRS)


@pytest.fixture(scope="module")
def whole(inputs: Path) -> Path:
    """An uninterrupted run."""
    run = inputs / "whole"
    done = mgi(translate_command(inputs, run, "--workers", "0"))
    assert done.returncode == 0, done.stderr
    assert len(results(run)) == PAIRS
    return run


def kill_when(inputs: Path, run: Path, marker: str, workers: str = "0") -> int:
    """Start a run in its own process group and kill all of it once the n-th marker of a stage exists."""
    stage, count = marker.split(":")
    started = subprocess.Popen(
        translate_command(inputs, run, "--workers", workers),
        env=environment(STUB_SECONDS="0.15"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 100
    while len(list((run / "done" / stage).glob("[!.]*.json"))) < int(count):
        assert started.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(started.pid, signal.SIGKILL)
    return started.wait()


def computed_units(run: Path) -> Counter[tuple[str, str]]:
    """How often each unit was computed, over all commands, from the run's log."""
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines() if line.startswith("{")]
    return Counter((event["stage"], event["key"]) for event in events if event["event"] == "unit")


@pytest.mark.parametrize(
    "moment",
    [
        "warp:1",
        f"invert:{PAIRS * HYPOTHESES - 2}",
        *(pytest.param(moment, marks=pytest.mark.long) for moment in ("invert:1", "score:1", "select:2")),
    ],
)
def test_resume_after_kill_gives_the_same_bytes(inputs: Path, whole: Path, tmp_path: Path, moment: str) -> None:
    run = tmp_path / "run"
    assert kill_when(inputs, run, moment) == -signal.SIGKILL
    done_before = every_marker(run)

    resumed = mgi(command("resume", run, "--workers", "0"))

    assert resumed.returncode == 0, resumed.stderr
    assert results(run) == results(whole)
    assert done_before.items() <= every_marker(run).items(), "a marker was written again"
    assert max(computed_units(run).values()) == 1


@pytest.mark.long
def test_resume_after_kill_with_worker_processes(inputs: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    kill_when(inputs, run, "invert:3", workers="2")

    resumed = mgi(command("resume", run, "--workers", "2"))

    assert resumed.returncode == 0, resumed.stderr
    assert results(run) == results(whole)


def test_second_translate_computes_nothing(inputs: Path, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file() and path.name != "log.jsonl"}

    again = mgi(
        translate_command(inputs, whole), MGI_METHOD_FACTORY="no_such_module:load"
    )  # no method: not even loaded

    assert again.returncode == 0, again.stderr
    assert "nothing to compute" in again.stdout
    after = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file() and path.name != "log.jsonl"}
    changed = [path.name for path in before if before[path] != after.get(path)]
    assert changed == []


def test_another_configuration_is_refused_with_the_difference(inputs: Path, whole: Path) -> None:
    refused = mgi(translate_command(inputs, whole, "--set", "inversion.steps=7", "--seed", "5"))

    assert refused.returncode == 2
    assert "inversion.steps: 5 -> 7" in refused.stderr
    assert "inputs.seed: 0 -> 5" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_interrupt_says_how_to_go_on(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    started = subprocess.Popen(
        translate_command(inputs, run, "--workers", "0"),
        env=environment(STUB_SECONDS="0.3"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # A test suite started in a shell's background ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list((run / "done" / "invert").glob("[!.]*.json")):
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=60)

    assert started.returncode == 130
    assert f"mgi resume {run}" in errors
    assert "Traceback" not in errors
    assert mgi(command("resume", run, "--workers", "0")).returncode == 0


def test_a_run_has_one_writer(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = subprocess.Popen(
        translate_command(inputs, run, "--workers", "0"),
        env=environment(STUB_SECONDS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list((run / "done" / "warp").glob("[!.]*.json")):
        time.sleep(0.01)
    second = mgi(command("resume", run, "--workers", "0"))
    first.kill()
    first.wait()

    assert second.returncode == 1
    assert str(first.pid) in second.stderr
    assert "Traceback" not in second.stderr
