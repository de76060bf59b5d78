"""A Prefect server that cannot be reached, or fails in the middle: the work goes on, and the summary says so."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from dask_processes import started
from runs import environment, make_inputs, mgi, results, translate_command

from flows.pipeline import Summary
from flows.records import noted, watched

DONE = Summary(run="r", pairs=1, done=1)


def lost() -> None:
    raise RuntimeError("no server")


def test_records_that_fail_after_the_work_do_not_undo_it() -> None:
    def flow() -> Summary:
        noted(lambda: DONE)
        lost()
        return DONE

    ended = watched(flow, plain=lambda: pytest.fail("the work was done twice"))
    assert (ended.done, ended.unrecorded, ended.exit_code) == (1, "no server", 0)


def test_a_flow_that_cannot_begin_is_done_without_its_server() -> None:
    assert watched(lambda: lost() or DONE, plain=lambda: DONE).unrecorded == "no server"


def test_an_error_of_the_work_stays_what_it_is() -> None:
    def work() -> Summary:
        raise MemoryError

    def flow() -> Summary:
        try:
            return noted(work)
        except MemoryError:
            lost()
        return DONE

    with pytest.raises(MemoryError):
        watched(flow, plain=lambda: DONE)


@pytest.mark.slow
def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    inputs, run = make_inputs(tmp_path / "inputs", 2), tmp_path / "run"
    start = time.monotonic()
    done = mgi(translate_command(inputs, run, "--workers", "0"), PREFECT_API_URL="http://127.0.0.1:1/api")
    assert done.returncode == 0 and time.monotonic() - start < 90, done.stderr
    assert len(results(run)) == 2
    assert "note: Prefect's records of this command are incomplete" in done.stderr
    assert "internal error" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.slow
def test_a_server_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    inputs, run = make_inputs(tmp_path / "inputs", 3), tmp_path / "run"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}/api"
    home = {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    start = [sys.executable, "-m", "prefect", "--no-prompt", "server", "start", "--port", port, "--no-ui"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(start, env=environment(**home), **quiet) as server:  # type: ignore[call-overload]
        try:
            answers(f"{url}/health")
            begun = lambda: any((run / "done" / "invert").glob("*.json"))  # noqa: E731
            command = translate_command(inputs, run, "--workers", "0")
            with started(command, begun, STUB_SECONDS="0.5", PREFECT_API_URL=url, **home) as ours:
                os.killpg(server.pid, signal.SIGKILL)
                clock = time.monotonic()
                _, told = ours.communicate(timeout=120)
        finally:
            server.kill()
    assert ours.returncode == 0 and time.monotonic() - clock < 90, told
    assert len(results(run)) == 3
    assert "note: Prefect's records of this command are incomplete" in told
    assert "internal error" not in told and "Traceback" not in told


def answers(url: str) -> None:
    """Return once a server answers."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} does not answer")
