"""What makes `xarray.open_zarr(RUN/run.zarr)` open with labelled axes: coordinates, attributes, consolidated metadata.

    run.zarr/{pair,source,exemplar}  run.zarr/<group>/{pair,array}  run.zarr/**/zarr.json of groups

All of it is derived from the header and the plan, and written again whenever those have changed; nothing of ours reads
it. The root's zarr.json is written last and says what it was derived from. Readers that take consolidated metadata, as
xarray does, see the run as it was before until then. Which rows are finished is in `storage.blocks.finished`.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from storage.array_spec import AXIS_LABELS, PICTURES, ArraySpec
from storage.atomic import write_bytes
from storage.blocks.finished import FINISHED, OF_GROUP, OF_ROOT
from storage.boot import boot_id
from storage.chunks import PAIR, DamagedChunk, create_array, read_chunk
from storage.run_layout import ARRAYS, DESCRIPTION, specs_of
from storage.run_store import RunStore

VERSION = 1
"""Of the labels; another one has all of them written again."""
STAMP, SEAL = "labels", "seal"
"""Attributes of the root: digests of what the labels were derived from, and of all their files (another version of zarr
may write others)."""
ROWS = 4096
"""Texts in a chunk. It does not depend on the number of pairs, so those of a run that grew replace those before."""
ARRAY, HYPOTHESIS = "array", "hypothesis"
"""Axis 1 of `finished`: the arrays of a group, which are hypotheses in all groups but the pictures'."""
TITLE = "what mgi computed, one row per pair"


def label(store: RunStore) -> None:
    """Write what is missing of a run's labels. For the process that holds its lock, before it takes anything back."""
    finished, records = store.finished, store.markers.records
    if finished is None or records is None:
        return
    if _read_stamp(store.path) != stamp_of(store):
        finished.drop_all()
        for path, data in label_files(store).items():
            write_bytes(path, data, flush=boot_id() is None)
    for block in records.blocks():
        if not finished.has(block):
            finished.write(block, records.read(block).units)


def repair(store: RunStore) -> None:
    """Write all labels of a run again."""
    (store.path / ARRAYS / DESCRIPTION).unlink(missing_ok=True)
    label(store)


def wrong_labels(store: RunStore) -> Iterator[Path]:
    """Files that are not as `label` writes them."""
    finished, records = store.finished, store.markers.records
    if finished is None or records is None:
        return
    found = {path: path.read_bytes() if path.is_file() else b"" for path in label_paths(store)}
    if _read_stamp(store.path) != stamp_of(store) or _seal(found) != _read_root(store.path).get(SEAL):
        yield from (path for path, data in label_files(store).items() if found[path] != data)
    for block in records.blocks():
        for path, mask in finished.masks(block, records.read(block).units).items():
            if not _holds(path, mask):
                yield path


def stamp_of(store: RunStore) -> str:
    """A digest of what the labels are derived from."""
    said = json.dumps([VERSION, store.layout, len(store.header["changes"])], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def label_files(store: RunStore) -> dict[Path, bytes]:
    """{file: what it holds} of all labels but the chunks of `finished`; the root's zarr.json comes last."""
    finished = store.finished
    assert finished is not None
    files: dict[str, Any] = {}
    pairs, specs = store.pairs, specs_of(store.layout)
    root = zarr.open_group(MemoryStore(files), mode="w", zarr_format=3)
    for name, spec in specs.items():
        create_array(root, name, len(pairs), spec, store.block)
    ours = {f"{name}/{DESCRIPTION}" for name in specs}
    write_labels(root, pairs, specs, ROWS)
    for group, names in {"": [], **finished.groups}.items():
        columns = [len(names)] if group else []
        _add_finished(root, group, (len(pairs), *columns), (finished.rows, *columns))
    describe_root(root, store.header, {STAMP: stamp_of(store)})
    consolidate(root)
    found = {key: bytes(data.to_bytes()) for key, data in files.items() if key not in ours}
    placed = {path: found[path.relative_to(store.path / ARRAYS).as_posix()] for path in label_paths(store)}
    assert len(placed) == len(found)
    whole = json.loads(found[DESCRIPTION])
    whole["attributes"][SEAL] = _seal(placed)
    return {**placed, store.path / ARRAYS / DESCRIPTION: json.dumps(whole, indent=1).encode()}


def label_paths(store: RunStore) -> list[Path]:
    """The files of `label_files` in their order, found out without making them."""
    assert store.finished is not None
    texts = [f"c.{number}" for number in range(-(-len(store.pair_ids()) // ROWS))]
    found = [f"{name}/{file}" for name in (PAIR, "source", "exemplar") for file in texts]
    names = [DESCRIPTION, *(f"{name}/{DESCRIPTION}" for name in (PAIR, "source", "exemplar", FINISHED))]
    specs = specs_of(store.layout)
    for group, arrays in store.finished.groups.items():
        axes = _axes([specs[f"{group}/{short}"] for short in arrays])
        found += [f"{group}/{PAIR}/{file}" for file in texts]
        found += [f"{group}/{axis}/c.0" for axis in (axis_of(group), *axes)]
        names += [f"{group}/{name}{DESCRIPTION}" for name in ("", *(f"{x}/" for x in (PAIR, axis_of(group), FINISHED)))]
        names += [f"{group}/{axis}/{DESCRIPTION}" for axis in axes]
    order = sorted([*found, *names], key=lambda key: (key == DESCRIPTION, key.endswith(DESCRIPTION), key))
    return [store.path / ARRAYS / key for key in order]


def _axes(specs: Sequence[ArraySpec]) -> dict[str, Sequence[Any]]:
    """{axis: its labels} of arrays of a group."""
    each = [(spec.attributes or {}).get(AXIS_LABELS, {}) for spec in specs]
    return {axis: labels for one in each for axis, labels in one.items()}


def write_labels(root: zarr.Group, pairs: Any, specs: Mapping[str, ArraySpec], rows: int | None = None) -> None:
    """Coordinates of the root and of every group.

    Args:
        root: has the arrays.
        pairs: the plan, a table with `id`, `source`, `exemplar`.
        specs: {name: what it holds} of the arrays.
        rows: labels in a chunk; None: all.
    """
    ids = [str(id) for id in pairs["id"]]
    add_axis(root, PAIR, ids, "the pair's id, as in all tables", rows)
    for name in ("source", "exemplar"):
        said = f"the {name}'s file, below the folder of {name}s"
        add_axis(root, name, [str(value) for value in pairs[name]], said, rows, PAIR)
    groups: dict[str, dict[str, ArraySpec]] = {}
    for name, spec in specs.items():
        group, _, short = name.partition("/")
        groups.setdefault(group, {})[short] = spec
    for group, found in groups.items():
        inside = root.require_group(group)
        add_axis(inside, PAIR, ids, "the pair's id, as in all tables", rows)
        add_axis(inside, axis_of(group), list(found), "names of the group's arrays: columns of `finished`")
        for axis, labels in _axes(list(found.values())).items():
            add_axis(inside, axis, labels, f"labels of the axis {axis}")


def axis_of(group: str) -> str:
    """Axis 1 of a group's `finished`."""
    return ARRAY if group == PICTURES else HYPOTHESIS


def describe_root(root: zarr.Group, header: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    """Attributes of the root: what it is, which version began it, and the digest of the configuration."""
    began = header.get("versions", {}).get("mgi")
    about = {"title": TITLE, "mgi_version": began, "digest": header["digest"], "coordinates": "source exemplar"}
    root.update_attributes({name: value for name, value in {**about, **more}.items() if value is not None})


def consolidate(root: zarr.Group) -> None:
    """Keep the descriptions of all arrays in those of their groups, and in the root's: one request instead of many."""
    with warnings.catch_warnings():  # that zarr's specification has no word for it yet
        warnings.simplefilter("ignore", UserWarning)
        for group in sorted(name for name, _ in root.groups()):
            zarr.consolidate_metadata(root.store, path=f"{root.path}/{group}".lstrip("/"))
        zarr.consolidate_metadata(root.store, path=root.path)


def add_axis(
    group: zarr.Group, name: str, labels: Sequence[Any], said: str, rows: int | None = None, axis: str | None = None
) -> None:
    """An array of texts or whole numbers with one axis, which is called as the array, or `axis`."""
    texts = not all(isinstance(one, int) for one in labels)
    array = group.create_array(
        name,
        shape=(len(labels),),
        dtype="string" if texts else "int64",
        chunks=(rows or max(1, len(labels)),),
        compressors=ZstdCodec(level=0, checksum=True),
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=(axis or name,),
        attributes={"long_name": said},
        config={"write_empty_chunks": True},  # also where all exemplars are "": every file is known by its name
    )
    array[:] = np.array(labels, object if texts else "int64")


def _add_finished(root: zarr.Group, group: str, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    said = OF_GROUP if group else OF_ROOT
    (root.require_group(group) if group else root).create_array(
        FINISHED,
        shape=shape,
        dtype="bool",
        chunks=chunks,
        compressors=ZstdCodec(level=0, checksum=True),
        chunk_key_encoding={"name": "default", "separator": "."},
        fill_value=False,
        dimension_names=(PAIR, axis_of(group)) if group else (PAIR,),
        attributes={"long_name": said},
    )


def _read_stamp(run: Path) -> Any:
    return _read_root(run).get(STAMP)


def _read_root(run: Path) -> dict[str, Any]:
    """Attributes of the root; none if they cannot be read."""
    try:
        return dict(json.loads((run / ARRAYS / DESCRIPTION).read_bytes())["attributes"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _seal(files: Mapping[Path, bytes]) -> str | None:
    """A digest of all files, the last of which is the root's zarr.json; None if that cannot be read."""
    *others, root = files.items()
    try:
        content = json.loads(root[1])
        content["attributes"].pop(SEAL, None)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    digests = [
        [path.as_posix()[len(root[0].parent.as_posix()) :], hashlib.sha256(data).hexdigest()] for path, data in others
    ]
    return hashlib.sha256(json.dumps([digests, content], sort_keys=True).encode()).hexdigest()


def _holds(path: Path, mask: np.ndarray) -> bool:
    try:
        found = read_chunk(path, mask.shape, mask.dtype)
    except DamagedChunk:
        return False
    return found is not None and bool((found == mask).all())
