"""Passwords in the addresses of schedulers, mirrors and Prefect servers are shown nowhere and kept nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.doctor import _environment, _prefect, examine
from mgi.addresses import shown
from mgi.weights import entries, zoo

SECRET = "hunter2"
ADDRESSES = [
    f"tcp://me:{SECRET}@127.0.0.1:1",
    f"me:{SECRET}@127.0.0.1:1",
    f"tcp://me:{SECRET}/x@127.0.0.1:1",
    f"tcp://me:x@{SECRET}@127.0.0.1:1",
    f"tcp://{SECRET}@127.0.0.1:1",
    f"tcp://127.0.0.1:1?token={SECRET}",
    f"127.0.0.1:1?token={SECRET}",
    f"other://me:{SECRET}@127.0.0.1:1",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("sentence", ["{}", "no answer from {} (bad '{}'); try {}.", "A={} B=({})", '"{}", {}, [{}]'])
def test_an_address_is_shown_without_its_secret(address: str, sentence: str) -> None:
    text = shown(sentence.replace("{}", address))
    assert SECRET not in text
    assert text.count("127.0.0.1") == sentence.count("{}")
    assert shown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "tcp://10.0.0.5:8786",
        "see https://pypi.org/simple; put a.pth into /cache",
        "a__b__0a1b2c3d.vgg@0a1b2c3d4e",
        "/pictures/cat@2x.png: not a picture (what is it?)",
        "warp: L04N03 of 12:30",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert shown(text) == text


def mgi(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.usefixtures("stub")
def test_a_scheduler_s_password_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.workers.cluster.CONNECT_WAIT", 1)
    monkeypatch.setenv("MGI_DEBUG", "1")
    inputs, run = make_inputs(tmp_path / "inputs", 1), tmp_path / "run"
    folders = [inputs / "sources", inputs / "exemplars", "--out", run, "--profile", inputs / "stub.toml"]
    assert mgi("translate", *folders, "--workers", "0").exit_code == 0
    (result,) = (run / "final").glob("*.png")
    for address in ADDRESSES:
        idle = mgi("resume", run, "--scheduler", address)  # nothing is left, so nobody is asked
        assert idle.exit_code in (0, 2) and SECRET not in idle.output, "2: it can be no address"
        result.unlink(missing_ok=True)
        failed = mgi("resume", run, "--scheduler", address)
        assert failed.exit_code in (1, 2), failed.output
        assert SECRET not in failed.output
        dry = mgi("translate", *folders, "--dry-run", "--scheduler", address)
        assert SECRET not in dry.output
        monkeypatch.setenv("MGI_SCHEDULER", address)
        assert SECRET not in mgi("resume", run).output
        monkeypatch.delenv("MGI_SCHEDULER")
        assert mgi("resume", run, "--workers", "0").exit_code == 0
    kept = [path for path in run.rglob("*") if path.is_file()]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
    assert "127.0.0.1" in (run / "log.jsonl").read_text()


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    "server", [f"http://me:{SECRET}@127.0.0.1/api", f"http://me:{SECRET}@127.0.0.1:1/api", f"me:{SECRET}@127.0.0.1"]
)
def test_the_doctor_shows_no_password(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("PREFECT_API_URL", server)
    monkeypatch.setenv("MGI_SCHEDULER", f"me:{SECRET}@127.0.0.1:1")
    monkeypatch.setenv("MGI_WEIGHTS_MIRROR", f"https://mirror.invalid/x?sig=a;{SECRET}")
    slow = ("_versions", "_requirements", "_extras", "_known_bad", "_torch", "_workers", "_weights", "_disk")
    for name in slow:  # and about no address
        monkeypatch.setattr(f"flows.doctor.{name}", list)
    said = [f"{check.found} {check.advice}" for check in examine()]
    assert SECRET not in " ".join(said)
    assert len(said) == len([*_prefect(), *_environment()]) and "no server answers at" in said[0]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("mirror", [f"http://me:{SECRET}@127.0.0.1:1", f"http://127.0.0.1:1/{{}}?token={SECRET}"])
def test_a_mirror_s_password_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str) -> None:
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("MGI_WEIGHTS_MIRROR", mirror)
    monkeypatch.delenv("MGI_OFFLINE", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    name = next(entry.name for entry in entries() if entry.source.startswith(zoo.PAGE))
    failed = mgi("weights", "fetch", name)
    assert failed.exit_code == 1 and "127.0.0.1" in failed.output
    assert SECRET not in failed.output
