"""A real Prefect server, work pool, worker and deployment on this machine: what prefect.yaml promises."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas
import pytest
from places import ROOT
from ports import free_port
from runs import environment, make_inputs, results, translate_command

PREFECT = [sys.executable, "-m", "prefect", "--no-prompt"]


@contextmanager
def background(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in its own process group; the whole group is gone at the end."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, cwd=log.parent
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer: {log.read_text()}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of commands that talk to a running server with both deployments and a worker."""
    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    env = environment(
        PREFECT_HOME=str(home),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        DO_NOT_TRACK="1",
        PREFECT_API_URL=f"http://127.0.0.1:{port}/api",
        PREFECT_WORKER_QUERY_SECONDS="1",
    )
    start = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with background(start, env, home / "server.log") as process:
        wait_for(f"{env['PREFECT_API_URL']}/health", process, home / "server.log")
        prefect(env, "work-pool", "create", "process", "--type", "process")
        prefect(env, "deploy", "--all")
        with background([*PREFECT, "worker", "start", "--pool", "process"], env, home / "worker.log"):
            yield env


def prefect(env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [*PREFECT, *arguments], env=env, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def parameters(**values: Any) -> list[str]:
    return [part for name, value in values.items() for part in ("--param", f"{name}={json.dumps(value)}")]


def test_deployment_runs_and_the_command_reports_to_the_server(server: dict[str, str], tmp_path: Path) -> None:
    inputs, run = make_inputs(tmp_path / "inputs", 2), tmp_path / "run"
    asked = parameters(
        sources=str(inputs / "sources"),
        exemplars=str(inputs / "exemplars"),
        out=str(run),
        profile=str(inputs / "stub.toml"),
        overrides={"inversion.steps": 4},
        workers=0,
    )

    prefect(server, "deployment", "run", "translate/translate", "--watch", *asked)

    assert len(results(run)) == 2
    assert (run / "report.html").is_file()
    header = json.loads((run / "run.json").read_text())
    assert header["config"]["inversion"]["steps"] == 4

    # The same run from the command line: it is continued, and the server is told, since PREFECT_API_URL names it.
    again = subprocess.run(
        translate_command(inputs, run, "--set", "inversion.steps=4", "--workers", "0"),
        env=server,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert "nothing to compute" in again.stdout
    assert flow_runs(server) == ["COMPLETED", "COMPLETED"]

    prefect(
        server, "deployment", "run", "select/select", "--watch", *parameters(run=str(run), rule="set-fid", workers=0)
    )
    changes = json.loads((run / "run.json").read_text())["changes"]
    assert [change["set"] for change in changes] == [{"selection.rule": "set-fid"}] and changes[0]["applied"]
    make_inputs(tmp_path / "more", 3)
    for side in ("sources", "exemplars"):
        last = f"{side[0]}02.png"
        (tmp_path / "more" / side / last).rename(inputs / side / last)
    prefect(server, "deployment", "run", "translate/translate", "--watch", *asked, *parameters(extend=True))
    assert len(results(run)) == 3
    assert flow_runs(server) == ["COMPLETED"] * 4


def flow_runs(env: dict[str, str]) -> list[str]:
    """States of all flow runs that the server knows."""
    request = urllib.request.Request(
        f"{env['PREFECT_API_URL']}/flow_runs/filter", data=b"{}", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [run["state_type"] for run in json.load(answer)]


def test_a_schedule_evaluates_and_a_regression_ends_it_as_failed(server: dict[str, str], tmp_path: Path) -> None:
    inputs, pattern, before = make_inputs(tmp_path / "inputs", 8), tmp_path / "n-{date}", tmp_path / "n-2000-01-01"
    suite = inputs / "own.toml"
    suite.write_text(
        f"name = 'own'\nprofile = '{inputs / 'stub.toml'}'\nmetrics = ['l2']\n"
        "[data]\nsources = 'sources'\nexemplars = 'exemplars'\npairing = 'zip'\n[[methods]]\nname = 'mgi'\n"
    )
    asked = {"suite": str(suite), "out": str(pattern), "baseline": "previous", "workers": 0}
    prefect(server, "deployment", "run", "evaluate/evaluate", "--watch", *parameters(**asked | {"out": str(before)}))
    table = before / "tables" / "evaluation.parquet"
    numbers = pandas.read_parquet(table)
    numbers.loc[numbers["metric"] == "l2", "value"] -= 0.5  # as if the results had been better once
    numbers.to_parquet(table)

    known = len(flow_runs(server))
    every_minute = ("-n", "nightly", "--pool", "process", "--cron", "* * * * *", "--timezone", "UTC")
    prefect(server, "deploy", "flows/evaluate.py:evaluate", *every_minute, *parameters(**asked))
    deadline = time.monotonic() + 150
    while not (states := [state for state in flow_runs(server) if state in ("FAILED", "CRASHED")]):
        assert time.monotonic() < deadline, flow_runs(server)
        time.sleep(1)
    prefect(server, "deployment", "delete", "evaluate/nightly")
    assert set(states) == {"FAILED"} and len(flow_runs(server)) > known
    (made,) = (path for path in tmp_path.glob("n-*") if path != before)
    assert (made / "evaluation.html").is_file() and len(list(made.glob("rows/*/final/*.png"))) == 8
