"""`run.zarr` opens in xarray with labelled axes, and says of no row that it is finished which is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray
from small_run import HEADER, LATENTS, plan

from storage.array_spec import AXIS_LABELS, ArraySpec
from storage.blocks.finished import FinishedRows
from storage.blocks.packing import pack
from storage.extend import extend
from storage.labels import label, repair, wrong_labels
from storage.run_store import RunStore

COLOURS = {"units": "1", AXIS_LABELS: {"channel": ["red", "green", "blue"]}}
ARRAYS = {
    "warp/warp": ArraySpec((8, 8, 3), "uint8", ("y", "x", "channel"), COLOURS),
    "latents/L05N10": ArraySpec((5,), "float32", ("latent",), {"parts": [{"name": "codes", "rows": 1}]}),
}
MORE = {"latents/L04N10": ArraySpec((4,), "float32")}
NAME = "latents/L05N10"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore.create(tmp_path / "run", HEADER, plan(70), ARRAYS)
    label(store)
    return store


def publish(store: RunStore, *rows: int) -> None:
    for row in rows:
        store.write(NAME, row, LATENTS + row)
        store.publish("invert", f"p{row}.L05N10", pair_index=row, arrays=[NAME], payload={})


def opened(store: RunStore, group: str | None = None) -> xarray.Dataset:
    return xarray.open_zarr(store.path / "run.zarr", group=group)


def finished(store: RunStore, hypothesis: str = "L05N10") -> list[str]:
    """Ids of the rows that count as finished."""
    with opened(store, "latents") as found:
        mask = found["finished"].sel(hypothesis=hypothesis).to_numpy()
        return [str(id) for id in found["pair"].to_numpy()[mask]]


def test_every_group_opens_with_labelled_axes(store: RunStore) -> None:
    with opened(store) as root:
        assert dict(root.sizes) == {"pair": 70} and {"source", "exemplar", "pair"} == set(root.coords)
        assert str(root.sel(pair="p69")["source"].to_numpy()) == "p69.png"
        assert root.attrs["digest"] == "abc"
    with opened(store, "warp") as found:
        assert found["warp"].dims == ("pair", "y", "x", "channel") and found["warp"].attrs["units"] == "1"
        assert list(map(str, found["channel"].to_numpy())) == ["red", "green", "blue"]
        assert found["warp"].sel(pair="p3", channel="red").shape == (8, 8)
    with opened(store, "latents") as found:
        assert found["L05N10"].attrs["parts"] == [{"name": "codes", "rows": 1}]
        assert np.isnan(found["L05N10"].to_numpy()).all(), "what is not written is no zero"
    with xarray.open_datatree(store.path / "run.zarr", engine="zarr") as tree:
        assert set(tree.groups) == {"/", "/warp", "/latents"}
        assert tree["latents/L05N10"].sel(pair="p1").shape == (5,)


def test_rows_are_finished_once_zarr_reads_them_and_no_longer_once_they_are_taken_back(store: RunStore) -> None:
    publish(store, 1, 66)
    assert finished(store) == [], "their chunks are not packed"
    pack(store)
    assert finished(store) == ["p1", "p66"]
    with opened(store, "latents") as found:
        assert np.array_equal(found["L05N10"].sel(pair="p66").to_numpy(), LATENTS + 66)
    store.forget("invert", "p1.L05N10")
    assert finished(store) == ["p66"]


def test_a_pair_is_finished_when_its_result_is_published(store: RunStore) -> None:
    (store.path / "final").mkdir()
    (store.path / "final" / "p2.png").write_bytes(b"picture")
    store.publish("select", "p2", pair_index=2, payload={}, files=["final/p2.png"])
    pack(store)
    with opened(store) as root:
        assert [str(id) for id in root["pair"].to_numpy()[root["finished"].to_numpy()]] == ["p2"]


def test_a_kill_around_a_record_leaves_false_and_the_next_command_makes_it_true(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, 1)
    pack(store)
    publish(store, 2)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FinishedRows, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        pack(store)
    monkeypatch.undo()
    assert finished(store) == []
    label(RunStore.open(store.path))
    assert finished(store) == ["p1", "p2"]


def test_a_run_that_grows_keeps_its_labels_until_all_are_new(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(store, 1)
    pack(store)
    new = pd.DataFrame({"id": ["q"], "source": ["q.png"], "exemplar": ["e.png"]})
    grown = extend(store, new, MORE, [{"what": "pairs", "added": ["q"], "set": {}, "applied": True}])
    with opened(grown) as root:
        assert root.sizes["pair"] == 70, "killed here, it reads as it was"
    assert finished(grown) == ["p1"]
    label(grown)
    with opened(grown, "latents") as found:
        assert found.sizes["pair"] == 71 and list(map(str, found["hypothesis"].to_numpy())) == ["L04N10", "L05N10"]
        assert found["L04N10"].dims == ("pair", "latents_L04N10_1")
    assert finished(grown) == ["p1"] and finished(grown, "L04N10") == []
    assert list(wrong_labels(grown)) == []


def test_labels_are_checked_and_written_again(store: RunStore) -> None:
    publish(store, 1)
    pack(store)
    array = store.path / "run.zarr"
    before = {path: path.read_bytes() for path in array.rglob("*") if path.is_file()}
    derived = [path for path in before if path.parent not in (array / "warp" / "warp", array / NAME)]
    assert len(derived) == 25
    for number, path in enumerate(derived):
        data = before[path]
        path.write_bytes(b"" if number % 2 else data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
        assert path in list(wrong_labels(store)), path
        path.write_bytes(data)
    assert list(wrong_labels(store)) == []
    for path in derived:
        path.write_bytes(b"nonsense")
    repair(store)
    assert {path: path.read_bytes() for path in before} == before


def test_labels_that_are_all_empty_are_files_as_well(tmp_path: Path) -> None:
    first = ArraySpec((1, 5), "float32", ("snapshot", "latent"), {AXIS_LABELS: {"snapshot": [0]}})
    store = RunStore.create(tmp_path / "run", HEADER, plan(3).assign(exemplar=""), {"trajectory/L05N10": first})
    label(store)
    assert list(wrong_labels(store)) == []
    with opened(store, "trajectory") as found:
        assert found["snapshot"].to_numpy().tolist() == [0]
    with opened(store) as root:
        assert list(map(str, root["exemplar"].to_numpy())) == ["", "", ""]


def test_another_zarr_that_writes_other_descriptions_is_no_damage(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.labels.TITLE", "as another version describes it")
    assert list(wrong_labels(store)) == []


def test_runs_of_earlier_versions_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.run_store.with_dims", lambda name, spec: ArraySpec(spec.shape, spec.dtype))
    monkeypatch.setattr("storage.run_store.layout_of", lambda path, changes, names: old_layout(path, changes))
    from storage.run_layout import layout_of as old_layout

    store = RunStore.create(tmp_path / "run", HEADER, plan(3), ARRAYS)
    label(store)
    publish(store, 1)
    pack(store)
    assert store.finished is None and list(wrong_labels(store)) == []
    assert not list((store.path / "run.zarr").rglob("finished")) and "run.zarr/zarr.json" in store.layout
    grown = extend(store, pd.DataFrame({"id": ["q"], "source": ["q"], "exemplar": ["e"]}), MORE, [])
    assert grown.finished is None and grown.read(NAME, 1) is not None
