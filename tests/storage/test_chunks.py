"""Chunks as files: the same bytes as zarr's own, in both directions."""

import numpy as np
import pytest
import zarr

from storage.array_spec import ArraySpec, with_dims
from storage.chunks import ChunkFiles, DamagedChunk, create_array, read_chunk, write_chunk

CASES = [((8, 8, 3), "uint8"), ((64, 4, 4), "float16"), ((500,), "float32"), ((), "float64"), ((3,), "int64")]


@pytest.fixture(params=[False, True], ids=["before", "named"])
def named(request):
    """Whether axes have names, as they had not in earlier versions."""
    return request.param


@pytest.fixture(params=CASES, ids=str)
def array(request, tmp_path, named):
    group = zarr.open_group(tmp_path / "run.zarr", mode="w", zarr_format=3)
    spec = ArraySpec(*request.param)
    create_array(group, "a/b", 4, with_dims("a/b", spec) if named else spec)
    return zarr.open_array(tmp_path / "run.zarr" / "a" / "b", mode="r+"), tmp_path / "run.zarr" / "a" / "b"


def values(array, seed):
    return np.random.default_rng(seed).integers(1, 200, array.shape[1:]).astype(array.dtype)


def test_zarr_and_we_write_the_same_bytes_and_read_each_other(array):
    array, folder = array
    value, other = values(array, 0), values(array, 1)
    array[2] = value
    path = ChunkFiles(array, folder).alone(2)
    by_zarr = path.read_bytes()
    assert np.array_equal(read_chunk(path, array.shape[1:], array.dtype), value)
    write_chunk(path, other)
    assert np.array_equal(np.asarray(array[2]), other)
    write_chunk(path, value)
    assert path.read_bytes() == by_zarr
    assert read_chunk(path, array.shape[1:], array.dtype).flags.writeable


def test_a_missing_chunk_is_no_zeros_as_for_zarr(array, named):
    array, folder = array
    assert read_chunk(ChunkFiles(array, folder).alone(1), array.shape[1:], array.dtype) is None
    blank = np.asarray(array[1])
    assert np.isnan(blank).all() if named and array.dtype.kind == "f" else not blank.any()


def test_order_and_byte_order_of_the_value_do_not_matter(tmp_path):
    value = np.arange(6, dtype="<f4").reshape(2, 3)
    write_chunk(tmp_path / "a", value)
    write_chunk(tmp_path / "b", np.asfortranarray(value).astype(">f4"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_damage_of_every_kind_is_one_error(tmp_path):
    write_chunk(tmp_path / "a", np.arange(6, dtype=np.float32))
    good = (tmp_path / "a").read_bytes()
    for bad in (b"", b"x", good[:-1], good[:8], good + good, bytes(len(good))):
        (tmp_path / "a").write_bytes(bad)
        with pytest.raises(DamagedChunk):
            read_chunk(tmp_path / "a", (6,), np.dtype("float32"))
    (tmp_path / "a").write_bytes(good)
    with pytest.raises(DamagedChunk):
        read_chunk(tmp_path / "a", (7,), np.dtype("float32"))


def test_an_index_outside_the_plan_is_refused(array):
    array, folder = array
    for index in (-1, 4):
        with pytest.raises(IndexError):
            ChunkFiles(array, folder).alone(index)
