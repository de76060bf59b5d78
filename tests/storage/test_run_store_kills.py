"""The run store: locks, and what survives kills of the process and restarts of the machine."""

import os
import signal
import subprocess
import sys
import time

import pytest
from places import ROOT
from small_run import HEADER, LATENTS, plan

from storage.recheck import recheck
from storage.run_store import ArraySpec, RunLocked, RunStore


def child(script: str, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_the_lock_names_its_holder_and_dies_with_it(store):
    process = child(
        "import sys, time\nfrom storage.run_store import RunStore\n"
        "with RunStore.open(sys.argv[1]).lock():\n    print('held', flush=True)\n    time.sleep(60)",
        str(store.path),
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunLocked) as error, store.lock():
            pass
        assert f"process {process.pid} on" in str(error.value) and "\n" not in str(error.value)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with store.lock(), pytest.raises(RunLocked, match=f"process {os.getpid()} "), RunStore.open(store.path).lock():
        pass
    with store.lock():
        pass


WRITER = """
import sys
import numpy as np
from storage.images import write_png
from storage.run_store import RunStore
import storage.chunks  # zarr, which the first write would import after "go"
store = RunStore.open(sys.argv[1])
print("go", flush=True)
for turn in range(10**6):
    for index in range(3):
        value = np.full((256, 64, 3), turn % 250 + 1, np.uint8) + np.arange(3, dtype=np.uint8)
        key = f"p{index}.{turn}"
        store.write(f"big/{turn % 4}", index, value)
        store.publish("invert", key, pair_index=index, arrays=[f"big/{turn % 4}"], payload={"turn": turn})
        write_png(store.path / "final" / f"p{index}.png", value)
        store.quarantine(f"p{index}", "warp", str(turn))
"""


@pytest.mark.slow
def test_kill_at_any_moment_leaves_whole_files_only(tmp_path):
    """Four kills: every marker is valid, the newest marker of each chunk matches it, pictures and tables are whole."""
    from storage.images import read_image

    arrays = {f"big/{i}": ArraySpec((256, 64, 3), "uint8") for i in range(4)}
    store = RunStore.create(tmp_path / "run", HEADER, plan(3), arrays)
    for attempt in range(4):
        process = child(WRITER, str(store.path))
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(0.15 + 0.071 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        done = {key: store.done("invert", key) for key in store.keys_done("invert")}
        assert done and all(payload is not None for payload in done.values())
        # The writer goes over the same chunks again; a chunk belongs to its last marker, or to the unit that was
        # killed.
        for index in range(3):
            turns = sorted(int(key.partition(".")[2]) for key in done if key.startswith(f"p{index}."))
            stale = [turn for turn in turns[-4:] if not store.verify("invert", f"p{index}.{turn}")]
            assert len(stale) <= 1
        for path in (store.path / "final").glob("*.png"):
            assert read_image(path).pixels.shape == (256, 64, 3)
        assert set(store.quarantined()) <= {"p0", "p1", "p2"}
        for key in done:
            store.forget("invert", key)


def test_after_a_restart_of_the_machine_everything_is_checked_once(store, monkeypatch):
    for index, key in enumerate(("p0.L05N10", "p1.L05N10", "p2.L05N10")):
        store.write("latents/L05N10", index, LATENTS)
        store.publish("invert", key, pair_index=index, arrays=["latents/L05N10"], payload={"loss": 1})
    assert recheck(store) == 0
    # A crash of the machine may keep a marker and lose the chunk that was written before it, or half of the marker.
    (store.path / "run.zarr" / "latents" / "L05N10" / "row.1").write_bytes(b"")
    (store.path / "done" / "invert" / "p2.L05N10.json").write_bytes(b"")
    assert recheck(store) == 0, "under the same boot nothing is read again"
    monkeypatch.setattr("storage.recheck.boot_id", lambda: "next")
    monkeypatch.setattr("storage.markers.boot_id", lambda: "next")
    again = RunStore.open(store.path)
    assert recheck(again) == 2
    assert again.keys_done("invert") == {"p0.L05N10"}
    assert recheck(again) == 0


def test_without_a_boot_id_everything_is_flushed(store, monkeypatch):
    flushed = []
    monkeypatch.setattr("storage.atomic.os.fsync", lambda descriptor: flushed.append(descriptor))
    monkeypatch.setattr("storage.markers.boot_id", lambda: None)
    monkeypatch.setattr("storage.chunks.boot_id", lambda: None)
    store.write("latents/L05N10", 0, LATENTS)
    store.publish("invert", "p0.L05N10", pair_index=0, arrays=["latents/L05N10"], payload={})
    assert len(flushed) == 4  # two files and their folders
