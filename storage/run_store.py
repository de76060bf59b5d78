"""What a run remembers: its plan, the arrays of every pair, and which units of work are done.

    RUN/run.json  RUN/plan.parquet  RUN/run.zarr/  RUN/done/<stage>/<key>.json  RUN/quarantine.csv  RUN/final/ ...

Arrays have the pair as axis 0 and one chunk per pair, so two processes never write the same chunk. Every process opens
the store for itself; only the process that steers the run holds `lock()`. A unit is done when its marker exists:
`write` its arrays, then `publish`, which reads them back and writes the marker last.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from storage import plan_table, quarantine, run_header
from storage.atomic import write_bytes
from storage.boot import boot_id
from storage.markers import Markers
from storage.quarantine import Quarantined
from storage.run_header import NoRun, RunConflict
from storage.run_lock import RunLocked, run_lock

if TYPE_CHECKING:  # pandas and zarr take a second, which `mgi status` does not need: it reads markers
    import numpy as np
    import pandas as pd
    import zarr

__all__ = ["ArraySpec", "NoRun", "Quarantined", "RunConflict", "RunLocked", "RunStore", "StoreCorrupt"]


class StoreCorrupt(RuntimeError):
    """What was read back is not what was written; one line that names the file and says what to do."""


class ArraySpec(NamedTuple):
    """Shape of one pair's value (without the pair axis) and dtype name of an array of the run."""

    shape: tuple[int, ...]
    dtype: str


class RunStore:
    """One run's folder. Make it with `create` or `open`."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.header = header
        self._markers = Markers(path / "done", header["digest"])
        self._arrays: dict[str, zarr.Array[Any]] = {}

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

        plan_table.write(path / "plan.parquet", pairs)
        group = zarr.open_group(path / "run.zarr", mode="w", zarr_format=3)
        for name, spec in arrays.items():
            create_array(group, name, len(pairs), spec.shape, spec.dtype)
        run_header.write(path / "run.json", header)

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
        return plan_table.read(self.path / "plan.parquet", len(self.header["changes"]))

    def pair_ids(self) -> list[str]:
        """Ids of all pairs in their order, faster than from `pairs`."""
        return plan_table.read_ids(self.path / "plan.parquet", len(self.header["changes"]))

    # arrays

    def write(self, array: str, pair_index: int, value: np.ndarray) -> None:
        """Write one pair's value. It counts only when it is published.

        Raises:
            KeyError: no such array. ValueError: the shape or dtype is not the planned one. OSError: it cannot be
                written.
        """
        import numpy as np

        from storage.chunks import chunk_path, write_chunk

        target, found = self._array(array), np.asarray(value)
        if found.shape != target.shape[1:] or found.dtype != target.dtype:
            planned = f"{target.dtype} {list(target.shape[1:])}"
            raise ValueError(f"{array} holds {planned} per pair, found {found.dtype} {list(found.shape)}")
        write_chunk(chunk_path(target, self._folder(array), pair_index), found)

    def read(self, array: str, pair_index: int) -> np.ndarray:
        """One pair's value; zeros if nothing was written.

        Raises:
            KeyError: no such array. StoreCorrupt: the file of the chunk is damaged.
        """
        from storage.chunks import DamagedChunk, chunk_path, read_chunk

        source = self._array(array)
        path = chunk_path(source, self._folder(array), pair_index)
        try:
            return read_chunk(path, source.shape[1:], source.dtype)
        except DamagedChunk as error:
            raise StoreCorrupt(
                f"{path} is damaged ({error}); delete it and the pair's markers in {self.path / 'done'}, then run "
                f"`mgi resume {self.path}`"
            ) from None

    def has(self, array: str) -> bool:
        """Whether the run has an array of this name."""
        return (self._folder(array) / "zarr.json").is_file()

    def _array(self, name: str) -> zarr.Array[Any]:
        if name not in self._arrays:
            if not self.has(name):
                raise KeyError(f"{self.path} has no array {name}")
            import zarr

            self._arrays[name] = cast("zarr.Array[Any]", zarr.open_array(self._folder(name), mode="r"))
        return self._arrays[name]

    def _folder(self, array: str) -> Path:
        return self.path / "run.zarr" / array

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
        hashes = {name: self._hash(name, pair_index) for name in arrays}
        content = {"pair_index": pair_index, "arrays": hashes, "payload": payload}
        self._markers.write(stage, key, content | {"files": {name: self._hash_file(name) for name in files}})

    def done(self, stage: str, key: str) -> dict[str, Any] | None:
        """The payload of a unit that is done, or None. A unit one of whose files was deleted is not done."""
        marker = self._markers.read(stage, key)
        if marker is None or not all((self.path / name).is_file() for name in marker["files"]):
            return None
        return cast("dict[str, Any]", marker["payload"])

    def keys_done(self, stage: str) -> set[str]:
        """Keys of all units of `stage` that have a marker, from one listing of the folder."""
        return self._markers.keys(stage)

    def verify(self, stage: str, key: str) -> bool:
        """Whether a unit is done and all its arrays and files still have the content that was published."""
        marker = self._markers.read(stage, key)
        if marker is None:
            return False
        try:
            arrays = all(self._hash(name, marker["pair_index"]) == known for name, known in marker["arrays"].items())
            return arrays and all(self._hash_file(name) == known for name, known in marker["files"].items())
        except (StoreCorrupt, OSError):
            return False

    def forget(self, stage: str, key: str) -> None:
        """Declare a unit not done; it is computed again."""
        self._markers.remove(stage, key)

    def recheck(self) -> int:
        """Check the hashes of everything written before the machine's last start, once; nothing else makes it trusted.

        For the process that holds `lock()`, before it decides what is left to do.

        Returns:
            How many units turned out to be damaged; they do not count as done any more.
        """
        stamp, now = self.path / ".boot", boot_id()
        if now is None or (stamp.exists() and stamp.read_text(encoding="ascii") == now):
            return 0
        lost = 0
        for stage in self._markers.stages():
            for key in sorted(self.keys_done(stage)):
                marker = self._markers.read(stage, key)
                if marker is None or not (self._markers.trusted(marker) or self.verify(stage, key)):
                    self.forget(stage, key)
                    lost += 1
        write_bytes(stamp, now.encode("ascii"))
        return lost

    def _hash(self, array: str, pair_index: int) -> str:
        import numpy as np

        return hashlib.sha256(np.ascontiguousarray(self.read(array, pair_index)).tobytes()).hexdigest()

    def _hash_file(self, name: str) -> str:
        try:
            with (self.path / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise StoreCorrupt(f"{self.path / name} is gone; run `mgi resume {self.path}` to make it again") from None

    # quarantine

    def quarantine(self, pair_id: str, stage: str, reason: str) -> None:
        """Set a pair aside. For the process that holds `lock()` only."""
        quarantine.write(self._quarantine_path, self.quarantined() | {pair_id: Quarantined(stage, reason)})

    def quarantined(self) -> dict[str, Quarantined]:
        """Pairs that were set aside: id -> (stage, reason)."""
        return quarantine.read(self._quarantine_path)

    def release(self, pair_id: str) -> None:
        """Take a pair back to be tried again. For the process that holds `lock()` only."""
        pairs = self.quarantined()
        if pairs.pop(pair_id, None) is not None:
            quarantine.write(self._quarantine_path, pairs)

    @property
    def _quarantine_path(self) -> Path:
        return self.path / "quarantine.csv"


def _local(url: str | Path) -> Path:
    """The folder that `url` names. A run lives on a file system: its lock and its renames need one."""
    text = str(url)
    if "://" in text and not text.startswith("file://"):
        raise NoRun(f"expected a folder on this machine or on a shared file system, found {text}")
    return Path(text.removeprefix("file://")).expanduser().absolute()
