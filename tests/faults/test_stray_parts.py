"""Processes are killed while they write: what they leave is swept, what living ones write is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from mgi import weights
from mgi.weights import zoo
from storage.atomic import write_bytes
from storage.parts import FOREIGN_SECONDS, sweep
from storage.run_lock import run_lock

WRITER = """
import os, sys, time
from storage import atomic
def stop(self, target):
    print("written", flush=True)
    time.sleep(60)
atomic.Path.replace = stop
atomic.write_bytes(sys.argv[1], b"half")
"""


def writer(path: Path) -> subprocess.Popen[str]:
    """A process that has written everything but the last step."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.part"))


def test_the_next_process_sweeps_what_a_killed_one_was_writing(tmp_path: Path) -> None:
    for name in ("a.json", "done/warp/b.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    dead, living = writer(tmp_path / "a.json"), writer(tmp_path / "done/warp/b.json")
    try:
        with pytest.raises(KeyboardInterrupt), run_lock(tmp_path):
            raise KeyboardInterrupt
        assert len(parts(tmp_path)) == 2
        kill(dead)
        with run_lock(tmp_path):
            (left,) = parts(tmp_path)
        assert left.parent.name == "warp"  # its writer lives
    finally:
        kill(living)
    with run_lock(tmp_path):
        assert parts(tmp_path) == [left]  # the last command ended well: nothing is looked for
    assert sweep(tmp_path) == 1 and parts(tmp_path) == []


def test_files_of_other_machines_and_versions_are_left_for_a_day(tmp_path: Path) -> None:
    other, earlier, user = tmp_path / ".x.png.00000000-1.abc.part", tmp_path / ".x.png.abcd.part", tmp_path / "x.part"
    for path in (other, earlier, user):
        path.write_bytes(b"")
    assert sweep(tmp_path) == 0
    old = time.time() - FOREIGN_SECONDS - 60
    for path in (other, earlier, user):
        os.utime(path, (old, old))
    assert sweep(tmp_path) == 2 and parts(tmp_path) == [user]  # a name without a dot is not ours


def test_long_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("\U0001f431" * 60)
    assert write_bytes(path, b"x") and path.read_bytes() == b"x" and parts(tmp_path) == []


def test_the_weights_folder_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("MGI_WEIGHTS_MIRROR", "")
    monkeypatch.setenv("MGI_OFFLINE", "1")
    here, busy, half = [entry for entry in zoo.entries() if not entry.in_package][:3]
    monkeypatch.setattr(zoo, "state", lambda item: "here" if item in (here, busy) else "missing")
    for item in (here, busy, half):
        (tmp_path / f"{item.file}.part").write_bytes(b"piece")
        (tmp_path / f".{item.name}.work").mkdir()
    with filelock.FileLock(tmp_path / f".{busy.name}.lock"), pytest.raises(weights.WeightsError):
        weights.fetch(half.name)
    assert not (tmp_path / f"{here.file}.part").exists() and not (tmp_path / f".{here.name}.work").exists()
    assert (tmp_path / f"{busy.file}.part").exists() and (tmp_path / f".{busy.name}.work").exists()
    assert (tmp_path / f"{half.file}.part").exists()  # the next fetch goes on with it
