"""`mgi pack`: the copy holds what was published and nothing else, or there is none."""

from __future__ import annotations

import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray
import zarr
from places import ROOT
from report_run import HYPOTHESES, PAIRS, STEPS, create, fill, small_config
from typer.testing import CliRunner

from flows.cli import app
from storage.array_spec import ArraySpec
from storage.blocks.packing import pack
from storage.packed import packed_rows
from storage.run_store import RunStore, StoreCorrupt
from tasks.pack import pack_run


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """Two pairs that are done, the second one loose and without a hypothesis; one set aside; one to do."""
    store = create(tmp_path / "run", small_config())
    fill(store, 0, PAIRS[0], None)
    pack(store)
    fill(store, 1, PAIRS[1], HYPOTHESES[1])
    store.quarantine(PAIRS[2].id, "warp", "no picture")
    return store


@pytest.fixture
def finished(store: RunStore) -> RunStore:
    store.quarantine(PAIRS[3].id, "warp", "no picture")
    return store


def mgi(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_copy_holds_what_was_published_with_labelled_axes(finished: RunStore, tmp_path: Path) -> None:
    code, said, _ = mgi("pack", finished.path, "--to", tmp_path / "copy")
    assert code == 0 and "9 arrays of 4 pairs" in said and "read back and compared" in said
    with xarray.open_datatree(tmp_path / "copy" / "run.zarr", engine="zarr", consolidated=True) as tree:
        assert tree["warp/warp"].dims == ("pair", "y", "x", "channel")
        assert tree["loss/L04N10"].attrs["long_name"].startswith("loss of every step")
        for index, pair in enumerate(PAIRS[:2]):
            for id in HYPOTHESES:
                there = (index, id) != (1, HYPOTHESES[1])
                loss = tree[f"loss/{id}"].sel(pair=pair.id).to_numpy()
                assert bool(tree["loss/finished"].sel(pair=pair.id, hypothesis=id)) == there
                assert np.array_equal(loss, finished.read(f"loss/{id}", index)) if there else np.isnan(loss).all()
            assert np.array_equal(tree["warp/source"].sel(pair=pair.id), finished.read("warp/source", index))
        assert tree["finished"].to_numpy().tolist() == [True, True, False, False]
        assert not tree["warp/finished"].sel(pair=PAIRS[2].id).any()
        assert tree.attrs["digest"] == finished.header["digest"] and not tree.attrs["partial"]
    folder = tmp_path / "copy" / "run.zarr" / "loss" / "L04N10"
    assert zarr.open_array(folder, mode="r").shards == (4, STEPS), "all pairs in one file"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 2
    assert list(pd.read_parquet(tmp_path / "copy" / "tables" / "pairs.parquet")["pair_id"]) == [p.id for p in PAIRS]
    listed = json.loads((tmp_path / "copy" / "packed.json").read_text())
    assert (listed["pairs"], listed["results"], listed["partial"]) == (4, 2, False) and "run.json" in listed["files"]
    assert not list(tmp_path.glob(".*")), "nothing is left beside it"


def test_a_copy_can_be_one_file(finished: RunStore, tmp_path: Path) -> None:
    pack_run(str(finished.path), str(tmp_path / "copy.zip"))
    with zipfile.ZipFile(tmp_path / "copy.zip") as archive:
        assert archive.testzip() is None and "tables/pairs.csv" in archive.namelist()
    store = zarr.storage.ZipStore(tmp_path / "copy.zip", mode="r")
    with xarray.open_zarr(store, group="latents", consolidated=True) as found:
        assert found["L06N30"].sel(pair=PAIRS[0].id).to_numpy().tolist() == [2, 2, 2, 2]
    store.close()


def test_what_is_unfinished_or_held_needs_partial(store: RunStore, tmp_path: Path) -> None:
    code, _, said = mgi("pack", store.path, "--to", tmp_path / "copy")
    assert code == 2 and said.count("\n") == 1 and "has 1 of 4 pairs left to do" in said and "--partial" in said
    with store.lock():
        store.quarantine(PAIRS[3].id, "warp", "no picture")
        code, _, said = mgi("pack", store.path, "--to", tmp_path / "copy")
        assert code == 1 and f"is being written by process {os.getpid()}" in said
        assert not (tmp_path / "copy").exists()
        packed = pack_run(str(store.path), str(tmp_path / "copy"), partial=True)
    assert (packed.pairs, packed.results) == (4, 2)
    assert zarr.open_group(tmp_path / "copy" / "run.zarr", mode="r").attrs["partial"] is True


def test_a_place_that_is_taken_is_left_alone(finished: RunStore, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_text("kept")
    code, _, said = mgi("pack", finished.path, "--to", tmp_path / "copy")
    assert code == 2 and "is there already" in said and (tmp_path / "copy" / "mine").read_text() == "kept"
    code, _, said = mgi("pack", finished.path, "--to", finished.path / "copy")
    assert code == 2 and "lies in the run" in said


def test_a_damaged_run_makes_no_copy(finished: RunStore, tmp_path: Path) -> None:
    finished.write("warp/warp", 1, np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(StoreCorrupt, match="is not what was published"):
        pack_run(str(finished.path), str(tmp_path / "copy"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_copy_that_does_not_read_back_is_none(
    finished: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = zarr.Array.__setitem__

    def forgetful(self: zarr.Array, selection: object, value: np.ndarray) -> None:
        whole(self, selection, value if self.basename != "L05N20" else np.zeros_like(value))

    monkeypatch.setattr(zarr.Array, "__setitem__", forgetful)
    with pytest.raises(StoreCorrupt, match="is not what was written"):
        pack_run(str(finished.path), str(tmp_path / "copy"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_what_a_killed_packing_left_is_removed(finished: RunStore, tmp_path: Path) -> None:
    from storage.parts import place

    stray, alive = (tmp_path / f".copy.{place()}-{pid}.pack.part" for pid in (2**22 + 1, os.getppid()))
    for folder in (stray, alive):
        folder.mkdir()
    pack_run(str(finished.path), str(tmp_path / "copy"))
    assert not stray.exists() and alive.exists()


def test_shards_hold_whole_chunks_of_few_bytes() -> None:
    for shape, dtype, pairs in [((3,), "float32", 1), ((256, 256, 3), "uint8", 70_000), ((512, 8, 8), "float16", 65)]:
        chunk, shard = packed_rows(ArraySpec(shape, dtype), pairs)
        assert shard % chunk == 0 and shard <= 4096
        assert shard * np.prod(shape) * np.dtype(dtype).itemsize <= 2**26


def test_a_run_of_an_earlier_version_gets_labels_in_its_copy(tmp_path: Path) -> None:
    with tarfile.open(ROOT / "tests" / "stored" / "runs-0.1.0.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    before = {path: path.read_bytes() for path in (tmp_path / "translate").rglob("*") if path.is_file()}
    pack_run(str(tmp_path / "translate"), str(tmp_path / "copy"))
    assert {path: path.read_bytes() for path in before} == before
    with xarray.open_datatree(tmp_path / "copy" / "run.zarr", engine="zarr", consolidated=True) as tree:
        assert tree["warp/warp"].dims == ("pair", "y", "x", "channel") and tree["loss/L04N03"].dims == ("pair", "step")
        assert tree["warp/finished"].to_numpy().all() and tree["latents/finished"].to_numpy().all()
        store = RunStore.open(tmp_path / "translate")
        assert list(map(str, tree["pair"].to_numpy())) == store.pair_ids()
        assert np.array_equal(tree["loss/L04N03"].to_numpy()[1], store.read("loss/L04N03", 1))
