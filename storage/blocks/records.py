"""The record of a block, `done/blocks/<number>.jsonl`: the markers of its units, one per line, under a first line.

The first line is the head: which units there are (`storage.blocks.summary`) and the digest of all other lines. So
deciding what is left reads a few hundred bytes per block, and checking all seals of a block is one digest. Every line
has its own seal as well (`storage.seal`): a changed bit costs one unit, not the block.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from storage.atomic import write_bytes
from storage.blocks.summary import Summary, parts_of, summarise
from storage.seal import BrokenSeal, opened_line, sealed_line
from storage.unit_keys import key_of, pair_of, part_of

FOLDER = "blocks"
"""Folder of the records, among those of the stages."""

Unit: TypeAlias = tuple[str, str]
"""(stage, key)."""
Stamp: TypeAlias = tuple[int, int, int]
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Record:
    """A record as it was read: its units, and those whose lines are damaged or gone."""

    units: Mapping[Unit, Mapping[str, Any]] = field(default_factory=dict)
    broken: frozenset[Unit] = frozenset()
    head_broken: bool = False


class Records:
    """The records of one run. Any process may read; only the one that holds the run's lock writes."""

    def __init__(self, folder: Path, digest: str, pair_ids: Callable[[], list[str]], rows: int) -> None:
        """Touch nothing yet.

        Args:
            folder: the run's folder of markers.
            digest: of the run's configuration; records with another one do not count.
            pair_ids: reads the ids of all pairs in the plan's order; called once.
            rows: pairs of a block.
        """
        self._place, self._digest, self._pair_ids, self.rows = str(folder / FOLDER), digest, pair_ids, rows

    def path(self, block: int) -> Path:
        """The file of a block's record."""
        return Path(self._name(block))

    def _name(self, block: int) -> str:
        return f"{self._place}/{block:06d}.jsonl"

    def blocks(self) -> list[int]:
        """Numbers of the blocks that have a record."""
        try:
            names = os.listdir(self._place)  # noqa: PTH208 - thousands
        except FileNotFoundError:
            return []
        return sorted(int(name.removesuffix(".jsonl")) for name in names if name[:1].isdigit())

    def ids(self, block: int) -> list[str]:
        """The pairs of a block."""
        return self._ids[block * self.rows : (block + 1) * self.rows]

    def block_of(self, pair_id: str) -> int | None:
        """The block of a pair; None if the plan lacks the pair."""
        index = self._index.get(pair_id)
        return None if index is None else index // self.rows

    @cached_property
    def _ids(self) -> list[str]:
        return self._pair_ids()

    @cached_property
    def _index(self) -> dict[str, int]:
        return {pair_id: index for index, pair_id in enumerate(self._ids)}

    def summary(self, block: int) -> Summary:
        """Which units a block has. If the head is damaged: those whose lines are whole."""
        path = self._name(block)
        stamp = _stamp(path)
        if stamp is None:
            return {"done": {}, "failed": {}}
        head = _head(path, stamp, self._digest)
        if head is not None:
            summary: Summary = head["summary"]
            return summary
        return self._summarise(block, self.read(block).units)

    def read(self, block: int) -> Record:
        """The units of a block; an empty record if there is none."""
        path = self._name(block)
        stamp = _stamp(path)
        return Record() if stamp is None else _read(path, stamp, self._digest, tuple(self.ids(block)))

    def is_whole(self, block: int) -> bool:
        """Whether every byte of a block's record is what was written, found out without reading its lines."""
        try:
            data = self.path(block).read_bytes()
        except FileNotFoundError:
            return True
        head, _, rest = data.partition(b"\n")
        try:
            return bool(opened_line(head)["rest"] == hashlib.sha256(rest).hexdigest())
        except (BrokenSeal, LookupError):
            return False

    def write(self, block: int, units: Mapping[Unit, Mapping[str, Any]]) -> None:
        """Replace a block's record; without units there is none. It is on the disk when this returns.

        Args:
            block: its number.
            units: {(stage, key): the marker's `pair_index`, `arrays`, `files` and `payload`}.
        """
        if not units:
            self.path(block).unlink(missing_ok=True)
            return
        lines = [
            sealed_line({"stage": stage, "key": key, **content}) + b"\n"
            for (stage, key), content in sorted(units.items())
        ]
        rest = b"".join(lines)
        head = {
            "digest": self._digest,
            "rest": hashlib.sha256(rest).hexdigest(),
            "summary": self._summarise(block, units),
        }
        write_bytes(self.path(block), sealed_line(head) + b"\n" + rest)

    def _summarise(self, block: int, units: Mapping[Unit, Mapping[str, Any]]) -> Summary:
        row = {pair_id: number for number, pair_id in enumerate(self.ids(block))}
        return summarise(
            (stage, row[pair_of(key)], part_of(key), bool(_failed(content)))
            for (stage, key), content in units.items()
            if pair_of(key) in row
        )


def _failed(content: Mapping[str, Any]) -> Any:
    payload = content["payload"]
    return payload.get("failed") if isinstance(payload, dict) else None


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - thousands, at every start
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4096)
def _head(path: str, stamp: Stamp, digest: str) -> dict[str, Any] | None:
    """The head of a record of this digest; None if it is damaged."""
    try:
        with Path(path).open("rb") as file:
            line = file.read(_HEAD_BYTES)
            while b"\n" not in line and (more := file.read(2**20)):
                line += more
        head = opened_line(line.partition(b"\n")[0])
        return head if head["digest"] == digest else {"summary": {"done": {}, "failed": {}}}
    except (OSError, BrokenSeal, LookupError):
        return None


@lru_cache(maxsize=2)
def _read(path: str, stamp: Stamp, digest: str, ids: tuple[str, ...]) -> Record:
    head = _head(path, stamp, digest)
    if head is not None and "rest" not in head:
        return Record()
    _, _, rest = Path(path).read_bytes().partition(b"\n")
    units: dict[Unit, Mapping[str, Any]] = {}
    for line in rest.split(b"\n")[:-1]:
        try:
            content = opened_line(line)
            units[content.pop("stage"), content.pop("key")] = content
        except (BrokenSeal, LookupError):  # which unit it was says the head
            continue
    known = set(units) if head is None else set(_units_of(head["summary"], ids))
    return Record({unit: units[unit] for unit in units if unit in known}, frozenset(known - set(units)), head is None)


def _units_of(summary: Summary, ids: tuple[str, ...]) -> Iterator[Unit]:
    for stage in summary["done"]:
        for parts, pairs in parts_of(summary, stage, list(ids)):
            for pair_id in pairs:
                yield from ((stage, key_of(pair_id, part)) for part in parts)
