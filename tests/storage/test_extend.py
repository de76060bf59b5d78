"""A run's folder grows: old values stay, new rows and arrays come, and a kill leaves the old run or the new one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from storage.blocks.packing import pack
from storage.extend import extend, mark_applied
from storage.run_store import ArraySpec, RunConflict, RunStore, StoreCorrupt

HEADER = {"config": {"generator": "g"}, "digest": "abc", "inputs": {"limit": None, "seed": 0}}
ARRAYS = {"warp/warp": ArraySpec((2, 2, 3), "uint8"), "latents/L05N10": ArraySpec((5,), "float32")}
MORE = {"latents/L06N10": ArraySpec((4,), "float32")}
LATENTS = np.arange(5, dtype=np.float32) + 1
CHANGES = [
    {"what": "pairs", "set": {"inputs.limit": 5}, "added": ["p3", "p4"], "applied": False},
    {"what": "hypotheses", "set": {"hypotheses": 2}, "added": ["L06N10"], "applied": False},
]


def rows(*numbers: int) -> pd.DataFrame:
    ids = [f"p{number}" for number in numbers]
    return pd.DataFrame({"id": ids, "source": [f"{id}.png" for id in ids], "exemplar": "e.png"})


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """Three pairs, the second of which has latents."""
    plan = rows(0, 1, 2).assign(index=range(3))[["index", "id", "source", "exemplar"]]
    store = RunStore.create(tmp_path / "run", HEADER, plan, ARRAYS)
    store.write("latents/L05N10", 1, LATENTS)
    store.publish("invert", "p1.L05N10", pair_index=1, arrays=["latents/L05N10"], payload={"loss": 1})
    return store


def check_old(store: RunStore) -> None:
    """What the run had before is as it was."""
    assert store.header["digest"] == "abc" and store.header["config"] == HEADER["config"]
    assert list(store.pairs["id"])[:3] == ["p0", "p1", "p2"]
    assert list(store.pairs.columns) == ["index", "id", "source", "exemplar"]
    assert store.verify("invert", "p1.L05N10")
    assert np.array_equal(store.read("latents/L05N10", 1), LATENTS)


def check_grown(store: RunStore) -> None:
    """It has five pairs, arrays for them, and one more array."""
    check_old(store)
    assert list(store.pairs["id"]) == ["p0", "p1", "p2", "p3", "p4"]
    assert list(store.pairs["index"]) == [0, 1, 2, 3, 4]
    assert list(store.pairs["source"])[3:] == ["p3.png", "p4.png"]
    assert store.header["changes"] == CHANGES
    for name in (*ARRAYS, *MORE):
        with pytest.raises(StoreCorrupt, match="is gone"):
            store.read(name, 4)  # there is a row for the last pair, and nothing in it
        with pytest.raises(IndexError):
            store.read(name, 5)


def test_old_values_stay_and_new_rows_can_be_written(store: RunStore) -> None:
    with store.lock():
        again = extend(store, rows(3, 4), MORE, CHANGES)
    check_grown(again)
    check_grown(RunStore.open(store.path))
    again.write("latents/L06N10", 4, LATENTS[:4])
    again.publish("invert", "p4.L06N10", pair_index=4, arrays=["latents/L06N10"], payload={})
    assert RunStore.open(store.path).verify("invert", "p4.L06N10")
    assert pack(again) == 2
    group = zarr.open_group(store.path / "run.zarr", mode="r")
    longer, new = group["latents/L05N10"], group["latents/L06N10"]
    assert isinstance(longer, zarr.Array) and isinstance(new, zarr.Array)
    assert longer.shape == (5, 5) and np.array_equal(np.asarray(longer[1]), LATENTS), "zarr itself reads it, too"
    assert new.shape == (5, 4) and np.array_equal(np.asarray(new[4]), LATENTS[:4])


def test_a_run_grows_again(store: RunStore) -> None:
    once = extend(store, rows(3), {}, [{**CHANGES[0], "added": ["p3"]}])
    again = extend(once, rows(4), {}, [{**CHANGES[0], "added": ["p4"]}])
    assert list(again.pairs["id"]) == ["p0", "p1", "p2", "p3", "p4"] and len(again.header["changes"]) == 2
    assert list(pd.read_parquet(store.path / "plan.parquet")["change"]) == [0, 0, 0, 1, 2]
    check_old(again)


def test_nothing_but_the_header_is_written_where_only_the_choice_changes(store: RunStore) -> None:
    before = {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}
    again = extend(store, rows(), {}, [{"what": "selection", "set": {"rule": 1}, "added": [], "applied": False}])
    written = {path for path in store.path.rglob("*") if path.is_file() and before.get(path) != path.read_bytes()}
    assert written == {store.path / "run.json"}
    assert mark_applied(again).header["changes"][0]["applied"]


def test_pairs_that_are_there_already_are_refused(store: RunStore) -> None:
    with pytest.raises(ValueError, match="does not have yet"):
        extend(store, rows(2, 3), {}, CHANGES)
    check_old(RunStore.open(store.path))


def test_a_run_that_another_process_changed_is_left_alone(store: RunStore) -> None:
    stale = RunStore.open(store.path)
    extend(store, rows(3, 4), MORE, CHANGES)
    with pytest.raises(RunConflict, match="run the command again"):
        extend(stale, rows(5), {}, CHANGES)
    check_grown(RunStore.open(store.path))


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Makes the n-th file fail from now on, before or after it has taken its final name."""
    whole = Path.replace

    def arm(allowed: int, written: bool) -> None:
        count = 0

        def replace(self: Path, target: Any) -> Path:
            nonlocal count
            count += 1
            if count > allowed and not written:
                raise KeyboardInterrupt
            done = whole(self, target)
            if count > allowed:
                raise KeyboardInterrupt
            return done

        monkeypatch.setattr(Path, "replace", replace)

    return arm


WRITES = 5
"""Two arrays longer, one new, the plan, the header."""


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("allowed", range(WRITES))
def test_a_growth_that_is_killed_between_any_two_writes_leaves_one_of_both_runs(
    store: RunStore,
    killed: Callable[[int, bool], None],
    monkeypatch: pytest.MonkeyPatch,
    allowed: int,
    written: bool,
) -> None:
    killed(allowed, written)
    with pytest.raises(KeyboardInterrupt):
        extend(store, rows(3, 4), MORE, CHANGES)
    monkeypatch.undo()
    found = RunStore.open(store.path)
    if allowed == WRITES - 1 and written:
        check_grown(found)
        return
    check_old(found)
    assert len(found.pairs) == 3 and found.header["changes"] == []
    assert not list(store.path.rglob("*.part"))
    fewer = [{**CHANGES[0], "added": ["p4"]}]  # the user has changed their mind
    again = extend(found, rows(4), {}, fewer)
    assert list(again.pairs["id"]) == ["p0", "p1", "p2", "p4"] and again.header["changes"] == fewer
    with pytest.raises(StoreCorrupt, match="is gone"):
        again.read("latents/L05N10", 3)
    check_old(again)


@pytest.mark.parametrize("allowed", range(WRITES))
def test_a_killed_growth_is_done_again(
    store: RunStore, killed: Callable[[int, bool], None], monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    killed(allowed, False)
    with pytest.raises(KeyboardInterrupt):
        extend(store, rows(3, 4), MORE, CHANGES)
    monkeypatch.undo()
    check_grown(extend(RunStore.open(store.path), rows(3, 4), MORE, CHANGES))


def test_five_files_are_written(store: RunStore, killed: Callable[[int, bool], None]) -> None:
    killed(WRITES, False)
    check_grown(extend(store, rows(3, 4), MORE, CHANGES))
