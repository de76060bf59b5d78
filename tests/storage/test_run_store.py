"""The run store: planning, writing, publishing, and what survives damage and conflicts."""

import numpy as np
import pandas as pd
import pytest
from runs import edited
from small_run import ARRAYS, HEADER, LATENTS, plan

from storage.run_store import NoRun, RunConflict, RunStore, StoreCorrupt


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
    assert np.array_equal(again.value("invert", "p1.L05N10", "latents/L05N10"), LATENTS)
    with pytest.raises(StoreCorrupt, match=r"row\.0 is gone; `mgi verify .* --repair`, then `mgi resume"):
        again.read("latents/L05N10", 0)
    pd.testing.assert_frame_equal(again.pairs, plan(3), check_dtype=False)
    assert again.header["inputs"]["seed"] == 0
    again.forget("invert", "p1.L05N10")
    assert store.done("invert", "p1.L05N10") is None


def test_a_pair_is_one_file(store):
    for index in range(3):
        store.write("latents/L05N10", index, LATENTS)
    chunks = (store.path / "run.zarr" / "latents" / "L05N10").glob("[!z]*")
    assert sorted(path.name for path in chunks) == ["row.0", "row.1", "row.2"]


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
    chunk = store.path / "run.zarr" / "latents" / "L05N10" / "row.0"
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
    edited(marker, lambda text: text.replace('"digest": "abc"', '"digest": "other"'))
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


# quarantine


def test_quarantine_keeps_order_and_one_line_reasons(store):
    store.quarantine("p1", "warp", "bad,\nvery bad")
    store.quarantine("p0", "invert", 'said "no"')
    store.quarantine("p1", "invert", "again")
    assert store.quarantined() == {"p1": ("invert", "again"), "p0": ("invert", 'said "no"')}
    assert (store.path / "quarantine.csv").read_text().splitlines()[0] == "pair_id,stage,reason,seal"
    store.release(["p1", "unknown"])
    assert list(RunStore.open(store.path).quarantined()) == ["p0"]
