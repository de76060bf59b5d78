"""A real Prefect server on this machine, and what tests ask it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from places import ROOT

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class Server:
    """Where a server is, the environment of commands that talk to it, and what it says."""

    url: str
    env: dict[str, str]
    home: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET, or POST of a body; an answer of 4xx is returned with its code as `status`.

        SQLite takes one writer at a time: a busy server says 503, and is asked again; on a busy machine it is slow.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        for _ in range(20):
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    return {**json.load(error), "status": error.code}
                time.sleep(0.5)
        raise AssertionError(f"{self.url}{path}: the server stays busy")

    def deployment(self, name: str) -> dict[str, Any]:
        """`FLOW/DEPLOYMENT` as the server has it."""
        return dict(self.ask(f"/deployments/name/{name}"))

    def begin(self, name: str, env: dict[str, str] | None = None, tags: tuple[str, ...] = (), **values: Any) -> Any:
        """Ask for a run of a deployment; returns its id, or what the server has against it."""
        found = self.deployment(name)
        body: dict[str, Any] = {"parameters": values, "state": {"type": "SCHEDULED"}, "tags": [*found["tags"], *tags]}
        if env:
            body["job_variables"] = {"env": found["job_variables"]["env"] | env}
        made = self.ask(f"/deployments/{found['id']}/create_flow_run", body)
        return made.get("id", made)

    def run(self, run_id: str) -> dict[str, Any]:
        """A flow run."""
        return dict(self.ask(f"/flow_runs/{run_id}"))

    def until(self, run_id: str, there: Callable[[dict[str, Any]], bool], seconds: float = 150) -> dict[str, Any]:
        """A flow run once it has got there."""
        deadline = time.monotonic() + seconds
        while not there(run := self.run(run_id)):
            assert time.monotonic() < deadline, (run["name"], run["state"], self.logs(run_id))
            time.sleep(0.3)
        return run

    def ended(self, run_id: str) -> dict[str, Any]:
        """A flow run at its end."""
        return self.until(run_id, lambda run: run["state_type"] in FINAL)

    def logs(self, run_id: str) -> list[str]:
        """What a flow run has logged."""
        wanted = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC"}
        return [str(line["message"]) for line in self.ask("/logs/filter", wanted)]

    def artifacts(self, run_id: str) -> dict[str, dict[str, Any]]:
        """{key: artifact} of a flow run."""
        found = self.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
        return {artifact["key"]: artifact for artifact in found}

    def states(self, run_id: str) -> list[str]:
        """The names of all states that a flow run had."""
        return [str(state["name"]) for state in self.ask(f"/flow_run_states/?flow_run_id={run_id}")]

    def type(self, command: str, folder: Path = ROOT) -> str:
        """Type a command line in a shell of this server's environment; returns what it prints."""
        done = subprocess.run(
            ["bash", "-c", command], env=self.env, cwd=folder, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def leave(self, command: str, folder: Path, **more: str) -> subprocess.Popen[bytes]:
        """Type a command in a terminal of its own, which is gone at the end."""
        with (self.home / f"{len(self.started)}.log").open("wb") as log:
            own = {"env": self.env | {"PWD": str(folder)} | more, "cwd": folder, "start_new_session": True}
            process = subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=log, stderr=subprocess.STDOUT, **own)  # type: ignore[call-overload]
        self.started.append(process)
        return process

    def kill_run(self, run_id: str) -> None:
        """Kill the process of a flow run."""
        os.kill(int(self.run(run_id)["infrastructure_pid"].rpartition(":")[2]), signal.SIGKILL)

    def wait(self) -> None:
        """Return once the server answers."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                    return
            except OSError:
                assert self.started[0].poll() is None, (self.home / "0.log").read_text()
                time.sleep(0.2)
        raise AssertionError(f"{self.url} does not answer: {(self.home / '0.log').read_text()}")


@contextmanager
def prefect_server(home: Path, env: dict[str, str], port: int) -> Iterator[Server]:
    """A place for a server, whose processes are gone at the end; nothing is started yet."""
    url = f"http://127.0.0.1:{port}/api"
    quiet = {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    quiet |= {"PREFECT_API_URL": url, "PREFECT_SERVER_API_PORT": str(port), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    server = Server(url, env | quiet, home)
    try:
        yield server
    finally:
        for process in server.started:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def recipe(page: str, title: str) -> list[str]:
    """The commands of the first shell block under a title, without comments."""
    block = page.partition(f"## {title}")[2].partition("```bash\n")[2].partition("```")[0]
    return [line for text in block.splitlines() if (line := re.sub(r"\s+#.*", "", text).strip())]
