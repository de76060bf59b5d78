"""A run's arrays once more, as object stores want them: few large files, described in one.

Every file is a shard of up to `SHARD_BYTES`, in which chunks of about `CHUNK_BYTES` can be read alone. Only what was
published is copied, each value checked against its hash; other rows are NaN, or zero where there is none, and
`finished` says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from storage.array_spec import ArraySpec
from storage.blocks.finished import FINISHED, OF_GROUP, OF_ROOT, RESULTS
from storage.chunks import PAIR, fill_of
from storage.labels import axis_of, consolidate, describe_root, write_labels
from storage.run_layout import array_names, description_files, spec_of
from storage.run_store import RunStore, StoreCorrupt
from storage.unit_keys import key_of

CHUNK_BYTES, SHARD_BYTES = 2**20, 2**26
ROWS = 4096
"""Pairs that are looked at together; a shard holds no more of them."""
LEVEL = 5
"""Of zstd."""

Place: TypeAlias = tuple[str, str]
"""(stage, key) of the unit that published a row."""
Step = Callable[[], None]


def run_specs(store: RunStore) -> dict[str, ArraySpec]:
    """{name: what it holds} of a run's arrays, of whatever version; runs of earlier ones have no names of axes."""
    found = {}
    for name in array_names(store.layout) or _names_there(store.path):
        files = store.arrays.files(name)
        known = store.layout.get(f"run.zarr/{name}/zarr.json", {})
        found[name] = spec_of({**known, "shape": files.shape, "dtype": str(files.dtype)})
    return found


def count_shards(specs: Mapping[str, ArraySpec], pairs: int) -> int:
    """How many times `write_packed` says that it has got on."""
    return sum(math.ceil(pairs / packed_rows(spec, pairs)[1]) for spec in specs.values())


def packed_rows(spec: ArraySpec, pairs: int) -> tuple[int, int]:
    """Pairs in a chunk and in a shard, both powers of two.

    Example:
        >>> packed_rows(ArraySpec((300,), "float32"), 70_000), packed_rows(ArraySpec((1024, 1024, 3), "uint8"), 100)
        ((512, 4096), (1, 16))
    """
    size = max(1, math.prod(spec.shape) * np.dtype(spec.dtype).itemsize)
    most = min(ROWS, 1 << max(0, pairs - 1).bit_length())
    chunk, shard = (min(most, 1 << max(0, (limit // size).bit_length() - 1)) for limit in (CHUNK_BYTES, SHARD_BYTES))
    return chunk, max(chunk, shard)


def write_packed(
    path: Path, store: RunStore, specs: Mapping[str, ArraySpec], step: Step, partial: bool = False
) -> np.ndarray:
    """Write `path`, a zarr of format 3 with consolidated metadata, and compare it with what was written.

    Args:
        path: a folder that is not there.
        store: the run.
        specs: its arrays, all with names of axes.
        step: called after every shard.
        partial: another process may take units back meanwhile; they are left out.

    Returns:
        bool [pairs]: which pairs have a result.

    Raises:
        storage.run_store.StoreCorrupt: the run is damaged, or what was read back is not what was written. OSError: it
            cannot be written.
    """
    ids = store.pair_ids()
    root = zarr.open_group(path, mode="w", zarr_format=3)
    for name, spec in specs.items():
        _create(root, name, len(ids), spec)
    write_labels(root, store.pairs, specs)
    masks = {name: np.zeros(len(ids), bool) for name in ["", *specs]}
    loose = {stage: store.markers.loose_parts(stage) for stage in store.markers.stages()}
    for start in range(0, len(ids), ROWS):
        some = ids[start : start + ROWS]
        places = _published(store, some, loose)
        masks[""][list(places.pop("", {}))] = True
        for name, spec in specs.items():
            for first in range(start, start + len(some), packed_rows(spec, len(ids))[1]):
                end = min(first + packed_rows(spec, len(ids))[1], len(ids))
                done = {index: at for index, at in places.get(name, {}).items() if first <= index < end}
                value, there = _values(store, name, spec, (first, end), done, partial)
                masks[name][there] = True
                array = root[name]
                assert isinstance(array, zarr.Array)
                array[first:end] = value
                _compare(path, name, first, value)
                step()
    _finished(root, masks, specs)
    describe_root(root, store.header, {"partial": partial})
    consolidate(root)
    _compare_masks(path, masks, ids)
    return masks[""]


def _names_there(run: Path) -> list[str]:
    """Arrays of a run whose header does not list them."""
    folder = run / "run.zarr"
    return [path.parent.relative_to(folder).as_posix() for path in description_files(run, None) if _depth(path) == 2]


def _depth(path: Path) -> int:
    parts = path.parent.parts
    return len(parts) - 1 - max(n for n, part in enumerate(parts) if part == "run.zarr")


def _create(root: zarr.Group, name: str, pairs: int, spec: ArraySpec) -> None:
    chunk, shard = packed_rows(spec, pairs)
    root.create_array(
        name,
        shape=(pairs, *spec.shape),
        dtype=spec.dtype,
        chunks=(chunk, *(max(1, size) for size in spec.shape)),
        shards=(shard, *(max(1, size) for size in spec.shape)),
        compressors=ZstdCodec(level=LEVEL, checksum=True),
        fill_value=fill_of(spec),
        dimension_names=(PAIR, *(spec.dims or ())),
        attributes=spec.attributes,
    )


def _published(
    store: RunStore, ids: Sequence[str], loose: Mapping[str, Mapping[str, frozenset[str]]]
) -> dict[str, dict[int, Place]]:
    """{array: {index: unit that published it}} of some pairs; under "" those with a result."""
    found: dict[str, dict[int, Place]] = {}
    for stage, key, content in _markers(store, ids, loose):
        for name in content["arrays"]:
            found.setdefault(name, {})[content["pair_index"]] = stage, key
        if any(name.startswith(RESULTS) for name in content["files"]):
            found.setdefault("", {})[content["pair_index"]] = stage, key
    return found


def _markers(
    store: RunStore, ids: Sequence[str], loose: Mapping[str, Mapping[str, frozenset[str]]]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(stage, key, marker) of all units of some pairs; what has a file of its own comes last."""
    records = store.markers.records
    wanted = set(ids)
    for block in sorted({records.block_of(id) or 0 for id in ids}) if records else ():
        assert records is not None
        for (stage, key), content in records.read(block).units.items():
            if key.partition(".")[0] in wanted:
                yield stage, key, content
    for stage, parts in loose.items():
        for id in wanted & parts.keys():
            for key in (key_of(id, part) for part in parts[id]):
                if (marker := store.marker(stage, key)) is not None:
                    yield stage, key, marker


def _values(
    store: RunStore, name: str, spec: ArraySpec, rows: tuple[int, int], done: Mapping[int, Place], partial: bool
) -> tuple[np.ndarray, list[int]]:
    """Rows of an array, and indices of those that were published."""
    value = np.full((rows[1] - rows[0], *spec.shape), fill_of(spec), spec.dtype)
    there = []
    for index, (stage, key) in done.items():
        try:
            value[index - rows[0]] = store.value(stage, key, name)
        except (KeyError, StoreCorrupt):
            if partial and name not in (store.marker(stage, key) or {"arrays": ()})["arrays"]:
                continue  # it was taken back meanwhile
            raise
        there.append(index)
    return value, there


def _compare(path: Path, name: str, first: int, value: np.ndarray) -> None:
    array = zarr.open_array(path / name, mode="r")
    found = np.asarray(array[first : first + len(value)])
    if found.dtype != value.dtype or found.tobytes() != value.tobytes():
        raise StoreCorrupt(f"{path / name}: what was read back of pairs {first} and later is not what was written")


def _finished(root: zarr.Group, masks: Mapping[str, np.ndarray], specs: Mapping[str, ArraySpec]) -> None:
    groups: dict[str, list[str]] = {}
    for name in specs:
        groups.setdefault(name.partition("/")[0], []).append(name)
    tables: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {"": (masks[""], (PAIR,))}
    for group, names in groups.items():
        tables[group] = np.stack([masks[name] for name in names], 1), (PAIR, axis_of(group))
    for group, (mask, dims) in tables.items():
        inside = root.require_group(group) if group else root
        said = OF_GROUP if group else OF_ROOT
        array = inside.create_array(
            FINISHED,
            data=mask,
            chunks=mask.shape,
            compressors=ZstdCodec(level=LEVEL, checksum=True),
            dimension_names=dims,
            attributes={"long_name": said},
        )
        assert array.shape == mask.shape


def _compare_masks(path: Path, masks: Mapping[str, np.ndarray], ids: Sequence[str]) -> None:
    """Open the copy as others will, and look at what says which rows are what."""
    root = zarr.open_consolidated(path)
    read = {name: np.asarray(array[:]) for name in (PAIR, FINISHED) if isinstance(array := root[name], zarr.Array)}
    if list(map(str, read[PAIR])) != list(ids) or not np.array_equal(read[FINISHED], masks[""]):
        raise StoreCorrupt(f"{path}: pairs or their states were not read back as they were written")
    for group in sorted({name.partition("/")[0] for name in masks if name}):
        columns = [mask for name, mask in masks.items() if name.partition("/")[0] == group]
        array = root[f"{group}/{FINISHED}"]
        assert isinstance(array, zarr.Array)
        if not np.array_equal(np.asarray(array[:]), np.stack(columns, 1)):
            raise StoreCorrupt(f"{path}/{group}: which rows are finished was not read back as it was written")
