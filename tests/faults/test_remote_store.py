"""A run at an address while its store denies, stalls, tears, repeats or forgets requests, or the command dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mirrors import change_lease, work, write
from runs import environment, make_inputs, results, translate_command
from s3 import Faults
from stub_method import StubMethod
from typer.testing import CliRunner, Result

from flows.cli import app
from storage.remote.bucket import Bucket
from storage.remote.lease import Lease

PAIRS = 3


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), PAIRS)


@pytest.fixture
def expected(settings: None, inputs: Path) -> dict[str, bytes]:
    """The results of the same run in a folder."""
    if not (inputs / "run").exists():
        ended(translate(inputs, str(inputs / "run")), 0)
    return results(inputs / "run")


@pytest.fixture(autouse=True)
def settings(stub: None, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_machine("a", tmp_path, monkeypatch)
    monkeypatch.setenv("MGI_REMOTE_SECONDS", "0")
    monkeypatch.setenv("MGI_REMOTE_PATIENCE", "20")
    monkeypatch.setenv("MGI_WORKERS", "0")


def use_machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on commands have the copies of a machine of this name."""
    monkeypatch.setenv("MGI_REMOTE_CACHE", str(tmp_path / name))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def translate(inputs: Path, address: str, *more: str) -> Result:
    folders = (inputs / "sources", inputs / "exemplars")
    return run("translate", *folders, "--out", address, "--profile", inputs / "stub.toml", *more)


def copy(machine: Path) -> Path:
    return next(machine.glob("*/run"))


def ended(result: Result, code: int, *lines: str) -> None:
    """Check how a command ended, and its lines that begin with `mgi:`."""
    assert result.exit_code == code, (result.output, result.exception)
    told = [line for line in result.stderr.splitlines() if line.startswith("mgi: ")]
    assert len(told) == len(lines) and all(word in line for word, line in zip(lines, told, strict=True)), told


def test_a_run_is_whole_everywhere(
    inputs: Path, expected: dict[str, bytes], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = translate(inputs, address)
    ended(made, 0)
    assert f"{address}/report.html" in made.stdout and f"copy          {copy(tmp_path / 'a')}" in made.stdout

    use_machine("b", tmp_path, monkeypatch)
    state = json.loads(run("status", address, "--json").stdout)
    assert (state["run"], state["complete"], state["report"]) == (address, True, f"{address}/report.html")
    assert not list((tmp_path / "b").glob("*/run")) and not list((tmp_path / "b").glob("*/view/run.zarr"))
    again = run("resume", address)
    ended(again, 0)
    assert f"{PAIRS} of {PAIRS} pairs done; nothing to compute" in again.stdout
    assert results(copy(tmp_path / "b")) == expected
    checked = run("verify", address)
    ended(checked, 0)
    assert "damaged     0" in checked.stdout

    use_machine("a", tmp_path, monkeypatch)
    ended(run("select", address, "--rule", "sifid"), 0)
    assert "exists: would be continued" in translate(inputs, address, "--dry-run").stdout
    use_machine("c", tmp_path, monkeypatch)
    assert run("report", address).stdout == f"{address}/report.html\n"
    assert json.loads((copy(tmp_path / "c") / "run.json").read_text())["changes"][0]["what"] == "selection"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("objects/", 2),
        pytest.param("objects/", 3, marks=pytest.mark.soak),
        pytest.param("manifests/", 2, marks=pytest.mark.soak),
        pytest.param("manifests/", 3, marks=pytest.mark.soak),
        pytest.param("root.json", 3, marks=pytest.mark.soak),
        pytest.param("root.json", 4, marks=pytest.mark.soak),
    ],
)
def test_a_kill_within_a_push(
    inputs: Path,
    expected: dict[str, bytes],
    address: str,
    tmp_path: Path,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    number: int,
) -> None:
    """What is published is an older state of the run, and nothing in it lacks what it vouches for."""
    asked: list[str] = []

    def kill(method: str, path: str) -> None:
        asked.extend([path] * (method == "PUT" and moment in path))
        if len(asked) == number:
            faults.before = None
            os.kill(ours.pid, signal.SIGKILL)
            ours.wait()

    faults.before = kill
    variables = environment(MGI_REMOTE_SECONDS="0", MGI_REMOTE_CACHE=str(tmp_path / "a"), STUB_SECONDS="0.15")
    line = translate_command(inputs, address, "--workers", "0")
    with subprocess.Popen(line, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ours:
        assert ours.wait(60) == -signal.SIGKILL

    use_machine("b", tmp_path, monkeypatch)
    checked = run("verify", address)
    ended(checked, 0)
    assert "damaged     0" in checked.stdout
    use_machine("a", tmp_path, monkeypatch)
    ended(run("resume", address), 0)
    assert results(copy(tmp_path / "a")) == expected
    use_machine("b", tmp_path, monkeypatch)
    ended(run("resume", address), 0)
    assert results(copy(tmp_path / "b")) == expected


def test_an_interrupted_run_goes_on_elsewhere(
    inputs: Path, expected: dict[str, bytes], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = StubMethod.invert
    asked: list[object] = []

    def interrupt(self: StubMethod, *arguments: Any, **more: Any) -> Any:
        asked.append(self)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return ask(self, *arguments, **more)

    monkeypatch.setattr(StubMethod, "invert", interrupt)
    ended(translate(inputs, address), 130, f"interrupted; `mgi resume {address}` continues where it stopped")
    use_machine("b", tmp_path, monkeypatch)
    resumed = run("resume", address)
    ended(resumed, 0)
    assert "5 invert" in resumed.stdout and results(copy(tmp_path / "b")) == expected


def test_two_commands_at_once(inputs: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(translate(inputs, address), 0)
    held = Lease.take(Bucket(address), 1)
    try:
        ended(run("resume", address), 1, f"{address} is being written by process {os.getpid()} on ")
        ended(run("status", address), 0)
    finally:
        held.release()
    ended(run("resume", address), 0)


def test_a_command_whose_lease_was_taken_stops(
    inputs: Path, address: str, tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(translate(inputs, address), 0)

    def take(method: str, path: str) -> None:
        if method == "PUT" and "manifests" in path and faults.before:
            faults.before = None
            change_lease(address, expires=1.0, id="gone")
            work(address, tmp_path / "b", lambda mirror: write(mirror, {"other": b"other"}))

    faults.before = take
    ended(run("select", address, "--rule", "sifid"), 1, "was taken over by another command")
    use_machine("c", tmp_path, monkeypatch)
    ended(run("verify", address), 0)
    assert json.loads((copy(tmp_path / "c") / "run.json").read_text())["changes"] == []


@pytest.mark.parametrize("kind", ["denied", "busy"])
def test_a_store_that_fails_from_the_middle_on(
    inputs: Path,
    expected: dict[str, bytes],
    address: str,
    tmp_path: Path,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """The work is done, the command says what the address lacks, and the next one publishes it."""
    monkeypatch.setenv("MGI_REMOTE_PATIENCE", "2")
    faults.plan("slow", "PUT", "objects")
    faults.plan(kind, "PUT", "objects", times=10**6)
    status = "403 Forbidden (AccessDenied)" if kind == "denied" else "503 Service Unavailable (SlowDown)"
    made = translate(inputs, address)
    ended(made, 1, f"is behind ({address}/objects/")
    assert status in made.stderr and f"{PAIRS} of {PAIRS} pairs done" in made.stdout
    assert results(copy(tmp_path / "a")) == expected

    faults.to_come.clear()
    ended(run("resume", address), 0)
    use_machine("b", tmp_path, monkeypatch)
    ended(run("resume", address), 0)
    assert results(copy(tmp_path / "b")) == expected


def test_a_store_that_refuses_at_once(inputs: Path, address: str, tmp_path: Path, faults: Faults) -> None:
    faults.plan("denied", "GET", "root.json", times=10)
    ended(translate(inputs, address), 1, f"{address}/root.json: the store answered 403 Forbidden (AccessDenied)")
    faults.to_come.clear()
    ended(run("status", "s3://no-such-bucket/run"), 1, "there is no such bucket")
    for verb in ("resume", "status", "report", "verify"):
        ended(run(verb, address), 2, f"{address} holds no run")
    assert not list(tmp_path.glob("a/*"))


def test_damage_at_the_address(
    inputs: Path, expected: dict[str, bytes], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, never used, and made again where no copy has it."""
    ended(translate(inputs, address), 0)
    bucket = Bucket(address)
    for name in list(bucket.names("objects"))[-1:]:
        found = bucket.read(name)
        assert found
        bucket.write(name, found.data[: len(found.data) // 2] + bytes(len(found.data) - len(found.data) // 2))
    use_machine("b", tmp_path, monkeypatch)
    ended(run("resume", address), 1, "is not what was published; `mgi verify RUN --repair`")
    found = run("verify", address)
    assert found.exit_code == 1 and f"damaged: {address}/" in found.stderr
    assert run("verify", address, "--repair").exit_code == 1
    ended(run("resume", address), 0)
    assert results(copy(tmp_path / "b")) == expected
    use_machine("c", tmp_path, monkeypatch)
    ended(run("verify", address), 0)
