"""The record of a block, `done/blocks/<number>.jsonl`: the markers of its units, one per line, under a first line.

The first line is the head: which units there are (`storage.blocks.summary`) and the digest of all other lines. So
deciding what is left reads a few hundred bytes per block, and checking all seals of a block is one digest. Every line
has its own seal as well (`storage.seal`): a changed bit costs one unit, not the block.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from storage.atomic import write_bytes
from storage.blocks.finished import FinishedRows
from storage.blocks.summary import Summary, parts_of, summarise
from storage.seal import BrokenSeal, opened_line, sealed_line
from storage.unit_keys import key_of, pair_of, part_of

FOLDER = "blocks"
"""Folder of the records, among those of the stages."""

Unit: TypeAlias = tuple[str, str]
"""(stage, key)."""
LOST: Mapping[str, Any] = {"payload": {}}
"""What is known of a unit whose line is damaged."""
Stamp: TypeAlias = tuple[int, int, int]
Head: TypeAlias = dict[str, Any] | None
_HEAD_BYTES = 4096
RECENT = 2
"""Records that are kept in memory as they were read."""


@dataclass(frozen=True)
class Record:
    """A record as it was read: its units, and those whose lines are damaged or gone."""

    units: Mapping[Unit, Mapping[str, Any]] = field(default_factory=dict)
    broken: frozenset[Unit] = frozenset()
    head_broken: bool = False


class Records:
    """The records of one run. Any process may read; only the one that holds the run's lock writes."""

    def __init__(
        self,
        folder: Path,
        digest: str,
        pair_ids: Callable[[], list[str]],
        rows: int,
        finished: FinishedRows | None = None,
    ) -> None:
        """Touch nothing yet.

        Args:
            folder: the run's folder of markers.
            digest: of the run's configuration; records with another one do not count.
            pair_ids: reads the ids of all pairs in the plan's order; called once.
            rows: pairs of a block.
            finished: gets told what every record says of its rows.
        """
        self._finished = finished
        self._place, self._digest, self._pair_ids, self.rows = str(folder / FOLDER), digest, pair_ids, rows
        self._heads: dict[int, tuple[Stamp, Head]] = {}
        self._recent: dict[int, tuple[Stamp, Record]] = {}

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
        stamp = _stamp(self._name(block))
        if stamp is None:
            return {"done": {}, "failed": {}}
        head = self._head(block, stamp)
        if head is not None:
            summary: Summary = head["summary"]
            return summary
        return self._summarise(block, self.read(block).units)

    def read(self, block: int) -> Record:
        """The units of a block; an empty record if there is none."""
        stamp = _stamp(self._name(block))
        if stamp is None:
            return Record()
        kept = self._recent.pop(block, None)
        if kept is None or kept[0] != stamp:
            kept = stamp, _read(self._name(block), self._head(block, stamp), self.ids(block))
        while len(self._recent) >= RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[block] = kept
        return kept[1]

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

    def write(self, block: int, units: Mapping[Unit, Mapping[str, Any]], broken: Iterable[Unit] = ()) -> None:
        """Replace a block's record; without units there is none. It is on the disk when this returns.

        Args:
            block: its number.
            units: {(stage, key): the marker's `pair_index`, `arrays`, `files` and `payload`}.
            broken: units that stay known as damaged: the head names them, and no line holds them.
        """
        self._heads.pop(block, None)
        self._recent.pop(block, None)
        if self._finished:  # before: if this process is killed, no row counts as finished that the record lacks
            self._finished.drop(block)
        self._write(block, units, broken)
        if self._finished:
            self._finished.write(block, units)

    def _write(self, block: int, units: Mapping[Unit, Mapping[str, Any]], broken: Iterable[Unit]) -> None:
        lost = [unit for unit in broken if unit not in units]
        if not units and not lost:
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
            "summary": self._summarise(block, {**dict.fromkeys(lost, LOST), **units}),
        }
        write_bytes(self.path(block), sealed_line(head) + b"\n" + rest)

    def _head(self, block: int, stamp: Stamp) -> Head:
        kept = self._heads.get(block)
        if kept is None or kept[0] != stamp:
            kept = self._heads[block] = stamp, _read_head(self._name(block), self._digest)
        return kept[1]

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


def _read_head(path: str, digest: str) -> Head:
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


def _read(path: str, head: Head, ids: list[str]) -> Record:
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


def _units_of(summary: Summary, ids: list[str]) -> Iterator[Unit]:
    for stage in summary["done"]:
        for parts, pairs in parts_of(summary, stage, ids):
            for pair_id in pairs:
                yield from ((stage, key_of(pair_id, part)) for part in parts)
