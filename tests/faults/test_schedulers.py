"""A scheduler without workers, one whose workers die, and one that dies: a message, an end, and how to go on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from dask_processes import scheduler, started, worker
from runs import command, make_inputs, mgi, results, translate_command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 3)


@pytest.fixture(scope="module")
def whole(inputs: Path) -> dict[str, bytes]:
    assert mgi(translate_command(inputs, inputs / "whole", "--workers", "0")).returncode == 0
    return results(inputs / "whole")


def test_a_scheduler_without_workers(inputs: Path, tmp_path: Path) -> None:
    with scheduler(tmp_path) as (_, address):
        start = time.monotonic()
        done = mgi(translate_command(inputs, tmp_path / "run", "--scheduler", address, "--patience", "2"))
        seconds = time.monotonic() - start

    assert done.returncode == 1 and seconds < 40, done.stderr
    note, error = done.stderr.splitlines()
    assert note.startswith("note: ") and "has no worker" in note and f"dask worker {address}" in note
    assert error.startswith("mgi: ") and "had no worker for 2 s" in error and "resume" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("victim", ["worker", pytest.param("scheduler", marks=pytest.mark.long)])
def test_a_cluster_that_dies(inputs: Path, whole: dict[str, bytes], tmp_path: Path, victim: str) -> None:
    run = tmp_path / "run"
    with (
        scheduler(tmp_path) as (server, address),
        worker(address, tmp_path, STUB_SECONDS="0.5") as only,
        started(
            translate_command(inputs, run, "--scheduler", address, "--patience", "2"),
            lambda: any((run / "done" / "invert").glob("*.json")),
        ) as ours,
    ):
        start = time.monotonic()
        {"worker": only, "scheduler": server}[victim].kill()
        _, told = ours.communicate(timeout=60)
        seconds = time.monotonic() - start

    assert ours.returncode == 1 and seconds < 40, told
    lines = [line for line in told.splitlines() if line.startswith("mgi: ")]
    assert len(lines) == 1 and "Traceback" not in told and "internal error" not in told, told
    assert address in lines[0] and f"mgi resume {run}" in lines[0]
    assert victim == "scheduler" or "has no worker" in told

    assert mgi(command("resume", run, "--workers", "0")).returncode == 0
    assert results(run) == whole


@pytest.mark.long
def test_workers_that_come_back(inputs: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    run = tmp_path / "run"
    with (
        scheduler(tmp_path) as (_, address),
        worker(address, tmp_path, STUB_SECONDS="0.2") as only,
        started(
            translate_command(inputs, run, "--scheduler", address, "--patience", "40"),
            lambda: any((run / "done" / "invert").glob("*.json")),
        ) as ours,
    ):
        only.kill()
        with worker(address, tmp_path):
            _, told = ours.communicate(timeout=60)
    assert ours.returncode == 0, told
    assert results(run) == whole


def test_no_scheduler_at_all(inputs: Path, tmp_path: Path) -> None:
    done = mgi(translate_command(inputs, tmp_path / "run", "--scheduler", "tcp://127.0.0.1:1"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "no Dask scheduler answers at tcp://127.0.0.1:1" in done.stderr
