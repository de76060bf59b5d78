"""Packing: published units move from files of their own into shards and records; at no moment is one of them nowhere.

Shards are written first, then the record, both to the disk; then chunks lose their own files, and last markers. A file
of its own counts before what is packed, so a process that is killed anywhere leaves every unit readable, and the next
packing finishes the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from storage.blocks.records import Records, Unit
from storage.blocks.shards import DamagedShard, read_piece, read_shard, write_shard
from storage.markers import Markers
from storage.run_arrays import RunArrays, StoreCorrupt
from storage.run_store import RunStore
from storage.seal import BrokenSeal
from storage.unit_keys import pair_of

Content = Mapping[str, Any]
KEPT = ("pair_index", "arrays", "files", "payload")
"""Entries of a marker that a record holds: it is on the disk, so no boot matters, and it names the digest once."""


def pack(store: RunStore, pair_ids: Iterable[str] | None = None) -> int:
    """Pack what a run has published. For the process that holds the run's lock, between two stages.

    Args:
        store: the run.
        pair_ids: only the blocks of these pairs; None: all.

    Returns:
        How many units were packed.

    Raises:
        OSError: something cannot be written; everything that was published is still there.
    """
    records = store.markers.records
    if records is None:
        return 0
    blocks = None if pair_ids is None else {records.block_of(pair_id) for pair_id in pair_ids}
    loose = loose_blocks(store.markers, records)
    wanted = {block: units for block, units in sorted(loose.items()) if blocks is None or block in blocks}
    return sum(pack_block(store.markers, store.arrays, records, block, units) for block, units in wanted.items())


def rewrite_record(store: RunStore, block: int) -> None:
    """Write the record of a block again from its lines that are whole."""
    if store.markers.records is not None:
        store.markers.records.write(block, store.markers.records.read(block).units)


def drop_unreadable(store: RunStore, units: Iterable[Unit]) -> None:
    """Remove shards whose index is damaged among those that these damaged units read: nothing in them is readable.

    Otherwise what is made again could not be packed there.
    """
    for stage, key in units:
        marker = store.marker(stage, key) or {"arrays": ()}
        for name in marker["arrays"]:
            _drop_unreadable(store.arrays, name, marker["pair_index"])


def loose_blocks(markers: Markers, records: Records) -> dict[int, list[Unit]]:
    """{block: units that have a file of their own}."""
    found: dict[int, list[Unit]] = {}
    for stage in markers.loose_stages():
        for key in markers.loose_keys(stage):
            block = records.block_of(pair_of(key))
            if block is not None:
                found.setdefault(block, []).append((stage, key))
    return found


def pack_block(markers: Markers, arrays: RunArrays, records: Records, block: int, units: Iterable[Unit]) -> int:
    """Pack units of a block. For the process that holds the run's lock, while nobody works on them.

    Markers that are damaged, and units of a shard that is, stay as they are.

    Returns:
        How many units were packed.

    Raises:
        OSError: something cannot be written; every unit is still readable.
    """
    contents = {unit: content for unit in units if (content := _content(markers, unit)) is not None}
    packed: set[tuple[str, int]] = set()
    stuck: set[tuple[str, int]] = set()
    for name, indices in _by_array(contents).items():
        done = [i for some in arrays.by_shard(name, indices) if _pack_shard(arrays, name, some) for i in some]
        packed.update((name, index) for index in done)
        if arrays.files(name).rows > 1:  # others keep their files
            stuck.update((name, index) for index in indices if index not in done)
    moved = {unit: content for unit, content in contents.items() if not _chunks(content) & stuck}
    before = records.read(block)
    new = {unit: {name: moved[unit][name] for name in KEPT} for unit in moved}
    records.write(block, {**before.units, **new}, before.broken)
    held = {chunk for unit, content in contents.items() if unit not in moved for chunk in _chunks(content)}
    for name, index in packed - held:
        arrays.files(name).alone(index).unlink(missing_ok=True)
    for stage, key in moved:  # last: what is left of a packing that is killed is found by its markers
        markers.path(stage, key).unlink(missing_ok=True)
    return len(moved)


def _content(markers: Markers, unit: Unit) -> Content | None:
    try:
        return markers.loose(*unit)
    except (BrokenSeal, FileNotFoundError):
        return None


def _chunks(content: Content) -> set[tuple[str, int]]:
    return {(name, content["pair_index"]) for name in content["arrays"]}


def _by_array(contents: Mapping[Unit, Content]) -> dict[str, list[int]]:
    """{array: indices of the pairs with a unit that wrote it}."""
    found: dict[str, set[int]] = {}
    for content in contents.values():
        for name, index in _chunks(content):
            found.setdefault(name, set()).add(index)
    return {name: sorted(indices) for name, indices in sorted(found.items())}


def _pack_shard(arrays: RunArrays, name: str, indices: list[int]) -> bool:
    """Move chunks of one array into the shard that is theirs; whether it could be done."""
    files = arrays.files(name)
    path, rows = files.shard(indices[0]), files.rows
    if path is None:  # chunks so large that each keeps its file
        return False
    try:
        pieces = read_shard(path, rows)
    except DamagedShard:  # what else it holds may still be brought back from a copy
        return False
    new = {}
    for index in indices:
        try:
            new[index % rows] = files.alone(index).read_bytes()
        except FileNotFoundError:  # a packing that was killed has moved it
            continue
    if new:
        write_shard(path, pieces | new, rows)
    return True


def _drop_unreadable(arrays: RunArrays, name: str, index: int) -> None:
    """Remove the shard of an array and pair if its index is damaged: none of its chunks can be read then."""
    try:
        files = arrays.files(name)
        path = files.shard(index)
        if path is not None:
            read_piece(path, index % files.rows, files.rows)
    except DamagedShard:
        assert path is not None
        path.unlink()
    except (OSError, LookupError, StoreCorrupt):  # the array's description is damaged, too
        return
