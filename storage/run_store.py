"""What a run remembers: its plan, the arrays of every pair, and which units of work are done.

    RUN/run.json  RUN/plan.parquet  RUN/run.zarr/  RUN/done/<stage>/<key>.json  RUN/quarantine.csv  RUN/final/ ...

Arrays have the pair as axis 0 and one chunk per pair, so two processes never write the same chunk. Every process opens
the store for itself; only the process that steers the run holds `lock()`. A unit is done when its marker exists:
`write` its arrays, then `publish`, which reads them back and writes the marker last.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from storage import plan_table, quarantine, run_header
from storage.array_spec import ArraySpec, with_dims
from storage.blocks.finished import FinishedRows
from storage.blocks.records import Records
from storage.markers import Markers
from storage.plan_table import PLAN
from storage.quarantine import Quarantined
from storage.run_arrays import RunArrays, StoreCorrupt, corrupt, hash_of
from storage.run_header import NoRun, RunConflict
from storage.run_layout import LAYOUT, is_labelled, layout_of
from storage.run_lock import RunLocked, run_lock
from storage.seal import BrokenSeal

if TYPE_CHECKING:  # pandas and zarr take a second, which `mgi status` does not need: it reads markers
    import numpy as np
    import pandas as pd

__all__ = ["ArraySpec", "NoRun", "Quarantined", "RunConflict", "RunLocked", "RunStore", "StoreCorrupt"]


BLOCK, BLOCK_PAIRS = "block", 64
"""Entry of the header, and its value in new runs."""


class RunStore:
    """One run's folder. Make it with `create` or `open`."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.header = header
        self.block: int | None = header.get(BLOCK)
        """Pairs of a block, see `storage.blocks`; None: a run of an earlier version, which packs none."""
        done = path / "done"
        self.layout: dict[str, dict[str, Any]] = header.get(LAYOUT, {})
        self.finished = FinishedRows(path, self.layout, self.block) if self.block and is_labelled(self.layout) else None
        records = Records(done, header["digest"], self.pair_ids, self.block, self.finished) if self.block else None
        self.markers = Markers(done, header["digest"], records)
        self.arrays = RunArrays(path, self.layout)

    @classmethod
    def create(
        cls, url: str | Path, header: dict[str, Any], pairs: pd.DataFrame, arrays: dict[str, ArraySpec]
    ) -> RunStore:
        """Make a run, or open the one that is there if it is the same.

        `run.json` is written last: a creation that is killed leaves no run, and the next one starts over.

        Args:
            url: the run's folder; made with its parents.
            header: JSON-able; needs `digest`, and `config`, `inputs` and `weights` are compared with a run that is
                there already (compared as JSON, key by key).
            pairs: columns `index` (0..P-1, the row in every array), `id`, `source`, `exemplar`.
            arrays: names such as `latents/L05N10` and what they hold per pair.

        Raises:
            RunConflict: the folder holds a run with another configuration, inputs or pairs, or results without a run.
            RunLocked: another process is making a run in it at this moment.
            OSError: the folder cannot be written.
        """
        path = _local(url)
        if list(pairs["index"]) != list(range(len(pairs))) or not pairs["id"].is_unique:
            raise ValueError("expected pairs with unique ids and indices 0, 1, 2, ...")
        if not (path / "run.json").exists():
            path.mkdir(parents=True, exist_ok=True)
            with run_lock(path):
                if not (path / "run.json").exists():
                    cls._make(path, header, pairs, arrays)
        store = cls.open(path)
        run_header.check_same(path, store.header, header, store.pairs, pairs)
        return store

    @staticmethod
    def _make(path: Path, header: dict[str, Any], pairs: pd.DataFrame, arrays: dict[str, ArraySpec]) -> None:
        if Markers(path / "done", header["digest"]).any():
            raise RunConflict(f"{path} holds results but no run.json; bring that file back or choose another folder")
        import zarr

        from storage.chunks import create_array

        plan_table.write(path / PLAN, pairs)
        group = zarr.open_group(path / "run.zarr", mode="w", zarr_format=3)
        for name, spec in arrays.items():
            create_array(group, name, len(pairs), with_dims(name, spec), BLOCK_PAIRS)
        run_header.write(path / "run.json", {**header, BLOCK: BLOCK_PAIRS, LAYOUT: layout_of(path, 0, arrays)})

    @classmethod
    def open(cls, url: str | Path) -> RunStore:
        """The run in a folder, for reading and writing.

        Raises:
            NoRun: there is none.
        """
        path = _local(url)
        return cls(path, run_header.read(path / "run.json"))

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Be the only process that steers this run. Raises RunLocked, which names the process that does."""
        return run_lock(self.path)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The plan: columns `index`, `id`, `source`, `exemplar` (paths relative to the input folders)."""
        return plan_table.read(self.path / PLAN, len(self.header["changes"]), self.layout.get(PLAN))

    def pair_ids(self) -> list[str]:
        """Ids of all pairs in their order, faster than from `pairs`."""
        return list(self._ids)

    @cached_property
    def _ids(self) -> list[str]:
        return plan_table.read_ids(self.path / PLAN, len(self.header["changes"]), self.layout.get(PLAN))

    # arrays

    def write(self, array: str, pair_index: int, value: np.ndarray) -> None:
        """Write one pair's value, see `RunArrays.write`. It counts only when it is published."""
        self.arrays.write(array, pair_index, value)

    def read(self, array: str, pair_index: int) -> np.ndarray:
        """One pair's value, as somebody wrote it last; `value` is what was published.

        Raises:
            KeyError: no such array. StoreCorrupt: the file of the chunk is damaged, or there is none: the zeros that
                zarr reads then are not data.
        """
        found = self.arrays.read(array, pair_index)
        if found is None:
            raise corrupt(self.path, self.arrays.chunk(array, pair_index, packed=False), "is gone")
        return found

    def value(self, stage: str, key: str, array: str) -> np.ndarray:
        """What a unit published in one of its arrays. Whatever is computed from a unit's arrays reads them here.

        Raises:
            KeyError: the unit has no such array. StoreCorrupt: it is not what was published; one line that names the
                file and says what to do.
        """
        marker = self.marker(stage, key)
        if marker is None or array not in marker["arrays"]:
            raise KeyError(f"{stage} {key} of {self.path} has no array {array}")
        index = marker["pair_index"]
        found = self.arrays.read(array, index)
        value = self.arrays.zeros(array) if found is None else found  # zarr, which once wrote runs, leaves out zeros
        if hash_of(value) != marker["arrays"][array]:
            said = "is gone" if found is None else "is not what was published"
            packed = not self.markers.path(stage, key).exists()
            raise corrupt(self.path, self.arrays.chunk(array, index, packed), said)
        return value

    def has(self, array: str) -> bool:
        """Whether the run has an array of this name."""
        return self.arrays.has(array)

    # markers

    def publish(
        self,
        stage: str,
        key: str,
        *,
        pair_index: int,
        arrays: Sequence[str] = (),
        payload: dict[str, Any],
        files: Sequence[str] = (),
    ) -> None:
        """Declare a unit of work done.

        Args:
            stage, key: name of the unit; letters, digits, `.`, `_`, `-`.
            pair_index: its pair.
            arrays: the arrays that were written for it; they are read back and hashed first.
            payload: what `done` returns later; JSON-able, no NaN.
            files: paths inside the run's folder that belong to it (such as `final/x.png`), hashed as well.

        Raises:
            StoreCorrupt: an array or file does not read back. OSError: the marker cannot be written.
        """
        hashes = {name: hash_of(self.read(name, pair_index)) for name in arrays}
        content = {"pair_index": pair_index, "arrays": hashes, "payload": payload}
        self.markers.write(stage, key, content | {"files": {name: self._hash_file(name) for name in files}})

    def marker(self, stage: str, key: str) -> dict[str, Any] | None:
        """The whole marker of a unit: `pair_index`, `arrays` and `files` with their hashes, `payload`; None without."""
        return self.markers.read(stage, key)

    def done(self, stage: str, key: str) -> dict[str, Any] | None:
        """The payload of a unit that is done, or None. A unit one of whose files was deleted is not done."""
        return self._payload(self.markers.read(stage, key))

    def payload(self, stage: str, key: str) -> dict[str, Any] | None:
        """As `done`, for whoever builds on the unit and would silently leave it out if its marker is damaged.

        Raises:
            StoreCorrupt: the marker is damaged.
        """
        try:
            return self._payload(self.markers.require(stage, key))
        except BrokenSeal as error:
            raise corrupt(self.path, self.markers.place(stage, key), f"is damaged: {error}") from None

    def _payload(self, marker: dict[str, Any] | None) -> dict[str, Any] | None:
        if marker is None or not all((self.path / name).is_file() for name in marker["files"]):
            return None
        return cast("dict[str, Any]", marker["payload"])

    def keys_done(self, stage: str) -> set[str]:
        """Keys of all units of `stage` that have a marker; `parts_done` is faster for many."""
        return self.markers.keys(stage)

    def parts_done(self, stage: str) -> dict[str, frozenset[str]]:
        """{pair id: parts of its units that have a marker}, see `storage.unit_keys`."""
        return self.markers.parts(stage)

    def verify(self, stage: str, key: str) -> bool:
        """Whether a unit is done and all its arrays and files still have the content that was published."""
        return self.marker(stage, key) is not None and not any(self.damaged(stage, key))

    def damaged(self, stage: str, key: str) -> Iterator[StoreCorrupt]:
        """What is wrong with the arrays and files that a unit published; nothing if all are as they were."""
        marker = self.marker(stage, key) or {"arrays": (), "files": ()}
        checks: list[Callable[[], object]] = [partial(self.value, stage, key, name) for name in marker["arrays"]]
        checks += [partial(self.check_file, stage, key, name) for name in marker["files"]]
        for check in checks:
            try:
                check()
            except StoreCorrupt as error:
                yield error
            except (OSError, LookupError) as error:  # an array that the run lacks, a row too many, a folder for a file
                yield StoreCorrupt(" ".join(str(error).split()))

    def check_file(self, stage: str, key: str, name: str) -> None:
        """Check that a file of a unit is what was published. Raises StoreCorrupt, KeyError."""
        marker = self.marker(stage, key)
        if marker is None:
            raise KeyError(f"{stage} {key} of {self.path} has no file {name}")
        if self._hash_file(name) != marker["files"][name]:
            raise corrupt(self.path, self.path / name, "is not what it was")

    def forget(self, stage: str, *keys: str) -> None:
        """Declare units not done; they are computed again."""
        self.markers.remove((stage, key) for key in keys)

    def _hash_file(self, name: str) -> str:
        try:
            with (self.path / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise corrupt(self.path, self.path / name, "is gone") from None

    # quarantine

    def quarantine(self, pair_id: str, stage: str, reason: str) -> None:
        """Set a pair aside. For the process that holds `lock()` only."""
        quarantine.add(self.quarantine_path, pair_id, Quarantined(stage, reason))

    def quarantined(self) -> dict[str, Quarantined]:
        """Pairs that were set aside: id -> (stage, reason)."""
        return quarantine.read(self.quarantine_path)

    def release(self, pair_ids: Iterable[str]) -> None:
        """Take pairs back to be tried again. For the process that holds `lock()` only."""
        pairs, gone = self.quarantined(), set(pair_ids)
        if gone & pairs.keys():
            left = {pair_id: entry for pair_id, entry in pairs.items() if pair_id not in gone}
            quarantine.write(self.quarantine_path, left)

    def damaged_quarantine(self) -> list[str]:
        """What the list calls the pairs of rows that are not what was written."""
        return quarantine.damaged(self.quarantine_path)

    @property
    def quarantine_path(self) -> Path:
        """The list of pairs that were set aside."""
        return self.path / "quarantine.csv"


def _local(url: str | Path) -> Path:
    """The folder that `url` names. A run lives on a file system: its lock and its renames need one."""
    text = str(url)
    if "://" in text and not text.startswith("file://"):
        raise NoRun(f"expected a folder on this machine or on a shared file system, found {text}")
    return Path(text.removeprefix("file://")).expanduser().absolute()
