"""Done markers: one small file per finished unit of work, `done/<stage>/<key>.json`, or a line of a block's record.

A marker is the only proof that something is done. The existence of a chunk proves nothing: zarr leaves out chunks of
zeros and reads missing ones as zeros. A marker is written last, by rename, so a process killed at any moment leaves
either the marker and everything it stands for, or no marker. After a crash of the machine that order may not hold;
`trusted` tells whether a marker is older than a crash. A marker is sealed (`storage.seal`): one that was changed since
counts as damaged, not as a marker. Finished blocks of pairs are packed (`storage.blocks`); a marker with a file of its
own is newer than one in a record.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from storage.atomic import write_bytes
from storage.blocks.records import FOLDER, Records, Unit
from storage.blocks.summary import Parts, Summary, failed_of, parts_of
from storage.boot import boot_id
from storage.seal import BrokenSeal, opened, sealed_line
from storage.unit_keys import key_of, pair_of, part_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,199}")
_UNSEALED = {"arrays", "boot", "digest", "files", "pair_index", "payload"}
"""Entries of the markers of versions before 0.3, which had no seal."""


class Markers:
    """The markers of one run. Any number of processes may read and write; each key has one writer at a time."""

    def __init__(self, folder: Path, digest: str, records: Records | None = None) -> None:
        """Touch nothing yet.

        Args:
            folder: the run's `done` folder; need not exist yet.
            digest: the digest of the run's configuration; markers with another one do not count.
            records: the packed markers; None if the run packs none.
        """
        self._folder = folder
        self._digest = digest
        self.records = records

    def write(self, stage: str, key: str, content: dict[str, Any]) -> None:
        """Publish `content` under `stage` and `key`.

        Raises:
            ValueError: a name is not usable as a file name, or `content` is not JSON (NaN is not).
            OSError: it cannot be written; no marker is left then.
        """
        whole = {"digest": self._digest, "boot": boot_id(), **content}
        write_bytes(self.path(stage, key), sealed_line(whole) + b"\n", flush=boot_id() is None)

    def read(self, stage: str, key: str) -> dict[str, Any] | None:
        """The content of a marker of this run's digest; None if there is none, or only a damaged one."""
        try:
            return self.require(stage, key)
        except BrokenSeal:
            return None

    def require(self, stage: str, key: str) -> dict[str, Any] | None:
        """As `read`. Raises BrokenSeal: the marker is damaged."""
        try:
            return self.loose(stage, key)
        except FileNotFoundError:
            pass
        block = self.records.block_of(pair_of(key)) if self.records else None
        if self.records is None or block is None:
            return None
        record = self.records.read(block)
        if (stage, key) in record.broken:
            raise BrokenSeal("its line is not the one that was sealed")
        found = record.units.get((stage, key))
        return None if found is None else {**found}

    def loose(self, stage: str, key: str) -> dict[str, Any] | None:
        """As `require`, of a marker with a file of its own. Raises FileNotFoundError, BrokenSeal."""
        content, has_seal = opened(self.path(stage, key).read_bytes())
        if not has_seal and content.keys() != _UNSEALED:  # a changed name of the entry that is the seal
            raise BrokenSeal("it has no seal")
        return content if content["digest"] == self._digest else None

    def path(self, stage: str, key: str) -> Path:
        """The file of a marker's own."""
        return Path(f"{self._folder}/{_checked(stage)}/{_checked(key)}.json")

    def place(self, stage: str, key: str) -> Path:
        """The file that holds a marker, or should: its own, or its block's record."""
        own = self.path(stage, key)
        block = self.records.block_of(pair_of(key)) if self.records else None
        if self.records is None or block is None or own.exists():
            return own
        return self.records.path(block)

    @staticmethod
    def trusted(content: dict[str, Any]) -> bool:
        """Whether what a marker stands for is certainly there: it was flushed, or the machine did not restart since."""
        return content.get("boot") in (None, boot_id())

    def remove(self, units: Iterable[Unit]) -> None:
        """Forget that these units are done; the next run of their stages computes them again.

        Each block is written once, so ask for many units at a time.
        """
        packed: dict[int, set[Unit]] = {}
        for stage, key in units:
            self.path(stage, key).unlink(missing_ok=True)
            block = self.records.block_of(pair_of(key)) if self.records else None
            if block is not None:
                packed.setdefault(block, set()).add((stage, key))
        for block, gone in packed.items():
            assert self.records is not None
            record = self.records.read(block)
            if gone & (record.units.keys() | record.broken):
                kept = {unit: content for unit, content in record.units.items() if unit not in gone}
                self.records.write(block, kept, record.broken - gone)

    def keys(self, stage: str) -> set[str]:
        """Keys of all markers of `stage`; their content is not read."""
        return {key_of(pair_id, part) for pair_id, parts in self.parts(stage).items() for part in parts}

    def parts(self, stage: str) -> dict[str, Parts]:
        """{pair id: parts that have a marker} of a stage, from one listing and the heads of the records.

        Pairs with the same parts share one set. Content of markers is not read.
        """
        shared: dict[Parts, Parts] = {}
        found: dict[str, Parts] = {}
        for summary, ids in self._summaries():
            for parts, pairs in parts_of(summary, stage, ids):
                found.update(dict.fromkeys(pairs, shared.setdefault(parts, parts)))
        for pair_id, new in self.loose_parts(stage).items():
            parts = found.get(pair_id, frozenset()) | new
            found[pair_id] = shared.setdefault(parts, parts)
        return found

    def loose_parts(self, stage: str) -> dict[str, Parts]:
        """As `parts`, of markers with files of their own."""
        found: dict[str, set[str]] = {}
        for key in self.loose_keys(stage):
            found.setdefault(pair_of(key), set()).add(part_of(key))
        return {pair_id: frozenset(parts) for pair_id, parts in found.items()}

    def failed(self, stage: str) -> dict[str, int]:
        """{pair id: how many of its units published a failure} of a stage, pairs without one left out."""
        loose = self.loose_keys(stage)
        counts: dict[str, int] = {}
        for summary, ids in self._summaries():
            for part, pairs in failed_of(summary, stage, ids):
                for pair_id in pairs:
                    if key_of(pair_id, part) not in loose:
                        counts[pair_id] = counts.get(pair_id, 0) + 1
        for key in loose:
            content = self.read(stage, key)
            if content and content["payload"].get("failed"):
                counts[pair_of(key)] = counts.get(pair_of(key), 0) + 1
        return counts

    def loose_keys(self, stage: str) -> set[str]:
        """Keys of the markers with a file of their own, from one listing of the folder."""
        folder = self._folder / _checked(stage)
        if not folder.is_dir():
            return set()
        return {name.removesuffix(".json") for name in os.listdir(folder) if _is_marker(name)}  # noqa: PTH208 - thousands

    def stages(self) -> list[str]:
        """Stages that have markers, now or once."""
        return sorted(set(self.loose_stages()).union(*(summary["done"] for summary, _ in self._summaries())))

    def loose_stages(self) -> list[str]:
        """Stages that have markers with files of their own, now or once."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if path.is_dir() and path.name != FOLDER)

    def _summaries(self) -> Iterator[tuple[Summary, list[str]]]:
        """(summary, pairs) of each packed block."""
        if self.records is not None:
            for block in self.records.blocks():
                yield self.records.summary(block), self.records.ids(block)

    def any(self) -> bool:
        """Whether there is any marker, of whatever stage."""
        return any(_is_marker(path.name) for path in [*self._folder.glob("*/*.json"), *self._folder.glob("*/*.jsonl")])


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of letters, digits and any of . _ - @, at most 200 of them, found {name!r}")
    return name


def _is_marker(name: str) -> bool:
    # A leading dot: half-written, its writer was killed.
    return name.endswith((".json", ".jsonl")) and not name.startswith(".")
