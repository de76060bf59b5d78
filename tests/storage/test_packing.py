"""Packing moves units into shards and records: same values, fewer files, and no moment at which one is nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from small_run import ARRAYS, HEADER, LATENTS, plan

from storage.array_spec import ArraySpec
from storage.atomic import write_bytes
from storage.blocks.packing import pack
from storage.blocks.shards import DamagedShard, read_piece, read_shard, write_shard
from storage.chunks import create_array
from storage.run_store import RunStore

PAIRS, BLOCK = 70, 64


def key(index: int) -> str:
    return f"p{index}.L05N10"


def publish(store: RunStore, index: int, more: float = 0) -> None:
    store.write("latents/L05N10", index, LATENTS + np.float32(index + more))
    payload = {"loss": index, "failed": "it was bad" if index == 5 else None}
    store.publish("invert", key(index), pair_index=index, arrays=["latents/L05N10"], payload=payload)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """Two blocks, of 64 and of 6 pairs, that are not packed."""
    store = RunStore.create(tmp_path / "run", HEADER, plan(PAIRS), ARRAYS)
    for index in range(PAIRS):
        publish(store, index)
    return store


def check(store: RunStore) -> None:
    """Every unit is there and whole, for this opening and for another."""
    for opened in (store, RunStore.open(store.path)):
        assert opened.keys_done("invert") == {key(index) for index in range(PAIRS)}
        assert opened.markers.failed("invert") == {"p5": 1}
        for index in range(PAIRS):
            assert opened.payload("invert", key(index)) == store.done("invert", key(index))
            assert np.array_equal(opened.value("invert", key(index), "latents/L05N10"), LATENTS + index)


def loose(store: RunStore) -> list[Path]:
    return [*store.path.glob("run.zarr/*/*/row.*"), *store.path.glob("done/invert/*")]


def test_what_is_packed_is_what_was_published(store: RunStore) -> None:
    check(store)
    assert pack(store) == PAIRS and pack(store) == 0
    check(store)
    assert loose(store) == []
    assert sorted(path.name for path in store.path.glob("done/blocks/*")) == ["000000.jsonl", "000001.jsonl"]
    array = zarr.open_array(store.path / "run.zarr" / "latents" / "L05N10", mode="r")
    assert np.array_equal(np.asarray(array[:]), np.stack([LATENTS + index for index in range(PAIRS)]))


def test_only_the_blocks_of_some_pairs_are_packed(store: RunStore) -> None:
    assert pack(store, ["p69"]) == PAIRS - BLOCK
    assert len(loose(store)) == 2 * BLOCK
    check(store)


def test_a_unit_that_is_made_again_replaces_the_packed_one(store: RunStore) -> None:
    pack(store)
    publish(store, 3, more=0.5)
    for _ in range(2):
        assert store.value("invert", key(3), "latents/L05N10")[0] == LATENTS[0] + 3.5
        pack(store)
    assert loose(store) == []
    store.forget("invert", key(3), key(4))
    assert store.done("invert", key(3)) is None and store.done("invert", key(65)) is not None
    publish(store, 3)
    publish(store, 4)
    pack(store)
    check(store)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("before", [False, True])
def test_killed_between_any_two_writes_every_unit_is_still_there(
    tmp_path: Path, store: RunStore, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """Writing or removing a file is a step; the process dies before one of them, or right after it."""
    steps, left = 0, [0]

    def dying(act: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0 and before:
                raise Killed
            done = act(*arguments, **more)
            if left[0] < 0:
                raise Killed
            return done

        return step

    while True:
        left[0] = steps
        with monkeypatch.context() as patch:
            patch.setattr("storage.blocks.shards.write_bytes", dying(write_bytes))
            patch.setattr("storage.blocks.records.write_bytes", dying(write_bytes))
            patch.setattr(Path, "unlink", dying(Path.unlink))
            try:
                pack(RunStore.open(store.path))
                break
            except Killed:
                check(store)
        steps += 1 if steps < 6 else 23  # all the writes, then some of the many removals
    assert steps > 50
    check(store)
    assert loose(store) == []


def test_a_damaged_shard_is_left_alone_and_new_values_beside_it(store: RunStore) -> None:
    pack(store)
    shard = store.path / "run.zarr" / "latents" / "L05N10" / "c.0.0"
    shard.write_bytes(shard.read_bytes()[:-3])
    damaged = shard.read_bytes()
    publish(store, 3)
    assert pack(store) == 0
    assert shard.read_bytes() == damaged and store.verify("invert", key(3)) and not store.verify("invert", key(4))


def test_damaged_lines_stay_known_as_damaged(store: RunStore) -> None:
    pack(store)
    record = store.path / "done" / "blocks" / "000000.jsonl"
    record.write_bytes(record.read_bytes().replace(b'"loss":7}', b'"loss":8}'))
    store.forget("invert", key(9))
    publish(store, 9)
    pack(store)
    assert len(store.keys_done("invert")) == PAIRS and not store.verify("invert", key(7))
    store.forget("invert", key(7))
    publish(store, 7)
    check(store)


@pytest.mark.parametrize(("shape", "dtype"), [((8, 8, 3), "uint8"), ((), "float64"), ((500,), "float16")])
def test_shards_are_those_of_zarr(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    create_array(zarr.open_group(tmp_path, mode="w", zarr_format=3), "a", PAIRS, ArraySpec(shape, dtype), BLOCK)
    array = zarr.open_array(tmp_path / "a", mode="r+")
    draw = np.random.default_rng(0)
    for index in (2, 5, 63):
        array[index] = draw.integers(1, 99, shape).astype(dtype)
    (shard,) = (tmp_path / "a").glob("c*")
    by_zarr = shard.read_bytes()
    pieces = read_shard(shard, BLOCK)
    assert sorted(pieces) == [2, 5, 63] and read_piece(shard, 5, BLOCK) == pieces[5]
    assert read_piece(shard, 4, BLOCK) is None
    write_shard(tmp_path / "own", pieces, BLOCK)
    values = np.asarray(array[:])
    shard.write_bytes((tmp_path / "own").read_bytes())
    assert np.array_equal(np.asarray(zarr.open_array(tmp_path / "a", mode="r")[:]), values)
    assert len(by_zarr) == len((tmp_path / "own").read_bytes())


def test_every_changed_bit_of_an_index_is_noticed(tmp_path: Path) -> None:
    write_shard(tmp_path / "a", {1: b"one", 3: b"three"}, 4)
    whole = (tmp_path / "a").read_bytes()
    for position in range(8, len(whole)):
        (tmp_path / "a").write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        for read in (lambda: read_shard(tmp_path / "a", 4), lambda: read_piece(tmp_path / "a", 3, 4)):
            with pytest.raises(DamagedShard):
                read()
