"""The run store: planning, writing, publishing, and what survives damage, conflicts and kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from storage.run_store import ArraySpec, NoRun, RunConflict, RunLocked, RunStore, StoreCorrupt

HEADER = {
    "config": {"warp": {"layers": ("relu3_3",), "temperature": 100.0}, "generator": "g"},
    "digest": "abc",
    "inputs": {"sources": "/s", "exemplars": "/e", "pairing": "zip", "limit": None, "seed": 0},
    "weights": {"g": "11"},
    "created": "today",
}
ARRAYS = {"warp/warp": ArraySpec((8, 8, 3), "uint8"), "latents/L05N10": ArraySpec((5,), "float32")}


def plan(count: int) -> pd.DataFrame:
    ids = [f"p{i}" for i in range(count)]
    return pd.DataFrame({"index": range(count), "id": ids, "source": [f"{i}.png" for i in ids], "exemplar": "e.png"})


@pytest.fixture
def store(tmp_path):
    return RunStore.create(tmp_path / "run", HEADER, plan(3), ARRAYS)


LATENTS = np.arange(5, dtype=np.float32) + 1


def test_what_is_published_is_read_back_by_another_opening(store):
    image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    store.write("warp/warp", 1, image)
    store.write("latents/L05N10", 1, LATENTS)
    assert store.done("invert", "p1.L05N10") is None
    payload = {"loss": 0.5, "notes": ["a"], "selected": True}
    store.publish("invert", "p1.L05N10", pair_index=1, arrays=["warp/warp", "latents/L05N10"], payload=payload)
    again = RunStore.open(store.path)
    assert again.done("invert", "p1.L05N10") == payload
    assert again.keys_done("invert") == {"p1.L05N10"}
    assert again.keys_done("warp") == set()
    assert again.verify("invert", "p1.L05N10")
    assert np.array_equal(again.read("warp/warp", 1), image)
    assert np.array_equal(again.read("latents/L05N10", 1), LATENTS)
    assert again.read("latents/L05N10", 0).tolist() == [0] * 5
    pd.testing.assert_frame_equal(again.pairs, plan(3), check_dtype=False)
    assert again.header["inputs"]["seed"] == 0
    again.forget("invert", "p1.L05N10")
    assert store.done("invert", "p1.L05N10") is None


def test_a_pair_is_one_file(store):
    for index in range(3):
        store.write("latents/L05N10", index, LATENTS)
    chunks = (store.path / "run.zarr" / "latents" / "L05N10").glob("c*")
    assert sorted(path.name for path in chunks) == ["c.0.0", "c.1.0", "c.2.0"]


def test_zeros_are_as_done_as_anything(store):
    store.write("latents/L05N10", 0, np.zeros(5, np.float32))
    store.publish("invert", "p0.L05N10", pair_index=0, arrays=["latents/L05N10"], payload={})
    assert store.done("invert", "p0.L05N10") == {}
    assert store.verify("invert", "p0.L05N10")


@pytest.mark.parametrize("value", [np.zeros(5), np.zeros(4, np.float32), np.zeros((1, 5), np.float32)])
def test_another_shape_or_dtype_is_refused(store, value):
    with pytest.raises(ValueError, match=r"holds float32 \[5\] per pair, found"):
        store.write("latents/L05N10", 0, value)


def test_flipped_and_truncated_chunks_are_found(store):
    store.write("latents/L05N10", 0, LATENTS)
    store.publish("invert", "p0.L05N10", pair_index=0, arrays=["latents/L05N10"], payload={})
    chunk = store.path / "run.zarr" / "latents" / "L05N10" / "c.0.0"
    good = chunk.read_bytes()
    for position in range(len(good)):
        chunk.write_bytes(good[:position] + bytes([good[position] ^ 4]) + good[position + 1 :])
        assert not store.verify("invert", "p0.L05N10"), position
    chunk.write_bytes(good[:-3])
    with pytest.raises(StoreCorrupt) as error:
        store.read("latents/L05N10", 0)
    assert "\n" not in str(error.value) and "mgi resume" in str(error.value)
    chunk.unlink()
    assert not store.verify("invert", "p0.L05N10")
    chunk.write_bytes(good)
    assert store.verify("invert", "p0.L05N10")


def test_files_of_a_unit_belong_to_it(store):
    final = store.path / "final" / "p0.png"
    final.parent.mkdir()
    with pytest.raises(StoreCorrupt):
        store.publish("select", "p0", pair_index=0, payload={}, files=["final/p0.png"])
    final.write_bytes(b"png")
    store.publish("select", "p0", pair_index=0, payload={"rule": "x"}, files=["final/p0.png"])
    assert store.done("select", "p0") == {"rule": "x"}
    final.write_bytes(b"pnk")
    assert not store.verify("select", "p0")
    final.unlink()
    assert store.done("select", "p0") is None


def test_nan_in_a_payload_is_refused(store):
    with pytest.raises(ValueError):
        store.publish("invert", "p0.L05N10", pair_index=0, payload={"loss": float("nan")})
    assert store.keys_done("invert") == set()


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "ä", "x" * 201])
def test_keys_are_file_names(store, key):
    with pytest.raises(ValueError, match="expected a name"):
        store.publish("invert", key, pair_index=0, payload={})


def test_markers_that_are_half_written_or_of_another_configuration_do_not_count(store):
    store.publish("warp", "p0", pair_index=0, payload={})
    marker = store.path / "done" / "warp" / "p0.json"
    content = json.loads(marker.read_text())
    marker.write_text(json.dumps({**content, "digest": "other"}))
    assert store.done("warp", "p0") is None
    marker.write_text(marker.read_text()[:20])
    assert store.done("warp", "p0") is None
    assert not store.verify("warp", "p0")
    (marker.parent / ".p1.json.abc.part").write_text("")
    assert store.keys_done("warp") == {"p0"}


# creating and opening


def test_the_same_request_opens_the_run(store):
    store.publish("warp", "p0", pair_index=0, payload={"a": 1})
    config = {**HEADER["config"], "warp": {"layers": ["relu3_3"], "temperature": 100.0}}  # tuples and lists are alike
    again = RunStore.create(store.path, {**HEADER, "config": config, "created": "later"}, plan(3), ARRAYS)
    assert again.done("warp", "p0") == {"a": 1}
    assert again.header["created"] == "today"


def test_another_configuration_is_refused_with_the_difference(store):
    config = {"warp": {"layers": ["relu3_3"], "temperature": 50.0}, "generator": "g", "new": 1}
    inputs = {**HEADER["inputs"], "seed": 7}
    with pytest.raises(RunConflict) as error:
        RunStore.create(store.path, {**HEADER, "config": config, "inputs": inputs, "digest": "x"}, plan(3), ARRAYS)
    head, *lines = str(error.value).splitlines()
    assert "mgi resume" in head
    assert lines == ["new: (none) -> 1", "warp.temperature: 100.0 -> 50.0", "inputs.seed: 0 -> 7"]


def test_other_weights_are_refused_where_both_hashes_are_known(store):
    RunStore.create(store.path, {**HEADER, "weights": {"g": "", "h": "3"}}, plan(3), ARRAYS)
    with pytest.raises(RunConflict, match=r'weights\.g: "11" -> "22"'):
        RunStore.create(store.path, {**HEADER, "weights": {"g": "22"}}, plan(3), ARRAYS)


def test_changed_folders_are_refused(store):
    with pytest.raises(RunConflict, match=r"pairs: 3 -> 4, among them p3"):
        RunStore.create(store.path, HEADER, plan(4), ARRAYS)


def test_an_interrupted_creation_starts_over(store):
    (store.path / "run.json").unlink()
    again = RunStore.create(store.path, HEADER, plan(2), ARRAYS)
    assert len(again.pairs) == 2


def test_results_without_a_run_are_never_overwritten(store):
    store.publish("warp", "p0", pair_index=0, payload={})
    (store.path / "run.json").unlink()
    with pytest.raises(RunConflict, match=r"no run\.json"):
        RunStore.create(store.path, HEADER, plan(3), ARRAYS)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 99, "digest": "x"}'])
def test_no_usable_run_is_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(NoRun) as error:
        RunStore.open(tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_addresses_other_than_folders_are_refused(tmp_path, store):
    with pytest.raises(NoRun, match="s3://bucket/run"):
        RunStore.open("s3://bucket/run")
    assert RunStore.open(f"file://{store.path}").path == store.path


# quarantine and lock


def test_quarantine_keeps_order_and_one_line_reasons(store):
    store.quarantine("p1", "warp", "bad,\nvery bad")
    store.quarantine("p0", "invert", 'said "no"')
    store.quarantine("p1", "invert", "again")
    assert store.quarantined() == {"p1": ("invert", "again"), "p0": ("invert", 'said "no"')}
    assert (store.path / "quarantine.csv").read_text().splitlines()[0] == "pair_id,stage,reason"
    store.release("p1")
    store.release("unknown")
    assert list(RunStore.open(store.path).quarantined()) == ["p0"]


def child(script: str, *args: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)})


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
        # The writer goes over the same chunks again; a chunk is of its last marker, or of the unit that was killed.
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
    assert store.recheck() == 0
    # A crash of the machine may keep a marker and lose the chunk that was written before it, or half of the marker.
    (store.path / "run.zarr" / "latents" / "L05N10" / "c.1.0").write_bytes(b"")
    (store.path / "done" / "invert" / "p2.L05N10.json").write_bytes(b"")
    assert store.recheck() == 0, "under the same boot nothing is read again"
    monkeypatch.setattr("storage.run_store.boot_id", lambda: "next")
    monkeypatch.setattr("storage.markers.boot_id", lambda: "next")
    again = RunStore.open(store.path)
    assert again.recheck() == 2
    assert again.keys_done("invert") == {"p0.L05N10"}
    assert again.recheck() == 0


def test_without_a_boot_id_everything_is_flushed(store, monkeypatch):
    flushed = []
    monkeypatch.setattr("storage.atomic.os.fsync", lambda descriptor: flushed.append(descriptor))
    monkeypatch.setattr("storage.markers.boot_id", lambda: None)
    monkeypatch.setattr("storage.chunks.boot_id", lambda: None)
    store.write("latents/L05N10", 0, LATENTS)
    store.publish("invert", "p0.L05N10", pair_index=0, arrays=["latents/L05N10"], payload={})
    assert len(flushed) == 4  # two files and their folders
