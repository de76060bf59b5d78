"""The arrays of a run, `run.zarr/<name>`: one chunk per pair, written and read by itself.

A chunk has a file of its own until its block is packed (`storage.blocks`), and again once it is written anew: that file
then counts, until the next packing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from storage.run_layout import ARRAYS, check_metadata

if TYPE_CHECKING:  # zarr takes a second, which `mgi status` does not need: it reads markers
    import numpy as np
    import zarr


class StoreCorrupt(RuntimeError):
    """What was read back is not what was written; one line that names the file and says what to do."""


def corrupt(run: Path, path: Path, said: str) -> StoreCorrupt:
    """The error for a damaged file of a run, such as `said` "is gone"."""
    return StoreCorrupt(f"{path} {said}; `mgi verify {run} --repair`, then `mgi resume {run}` makes it again")


class ArraySpec(NamedTuple):
    """Shape of one pair's value (without the pair axis) and dtype name of an array of the run."""

    shape: tuple[int, ...]
    dtype: str


def hash_of(value: np.ndarray) -> str:
    """sha256 of an array's bytes, as markers hold it."""
    return hashlib.sha256(value.tobytes()).hexdigest()


class RunArrays:
    """The arrays below one run's folder; each is opened once."""

    def __init__(self, run: Path, layout: Mapping[str, Mapping[str, Any]]) -> None:
        self._run, self._layout = run, layout
        self._opened: dict[str, zarr.Array[Any]] = {}

    def write(self, name: str, pair_index: int, value: np.ndarray) -> None:
        """Write one pair's value.

        Raises:
            KeyError: no such array. ValueError: the shape or dtype is not the planned one. OSError: it cannot be
                written.
        """
        import numpy as np

        from storage.chunks import write_chunk

        target, found = self._array(name), np.asarray(value)
        if found.shape != target.shape[1:] or found.dtype != target.dtype:
            planned = f"{target.dtype} {list(target.shape[1:])}"
            raise ValueError(f"{name} holds {planned} per pair, found {found.dtype} {list(found.shape)}")
        write_chunk(self.alone(name, pair_index), found)

    def read(self, name: str, pair_index: int) -> np.ndarray | None:
        """One pair's value; None if its chunk is in no file.

        Raises:
            KeyError: no such array. StoreCorrupt: the file of the chunk is damaged.
        """
        from storage.blocks.shards import DamagedShard
        from storage.chunks import DamagedChunk, decoded, read_chunk

        source, path = self._array(name), self.alone(name, pair_index)
        try:
            found = read_chunk(path, source.shape[1:], source.dtype)
            if found is None and (piece := self._packed(name, pair_index)) is not None:
                return decoded(piece, source.shape[1:], source.dtype)
            return found
        except (DamagedChunk, DamagedShard) as error:
            raise corrupt(self._run, self.chunk(name, pair_index, packed=True), f"is damaged ({error})") from None

    def zeros(self, name: str) -> np.ndarray:
        """What zarr reads where a chunk has no file."""
        import numpy as np

        source = self._array(name)
        return np.zeros(source.shape[1:], source.dtype)

    def has(self, name: str) -> bool:
        """Whether the run has an array of this name."""
        return (self._folder(name) / "zarr.json").is_file()

    def alone(self, name: str, pair_index: int) -> Path:
        """The file of one pair's chunk alone."""
        from storage.chunks import chunk_path

        return chunk_path(self._array(name), self._folder(name), pair_index)

    def shard(self, name: str, pair_index: int) -> Path | None:
        """The file that a pair's chunk is packed into; None if it keeps its own."""
        from storage.chunks import shard_path

        return shard_path(self._array(name), self._folder(name), pair_index)

    def shard_rows(self, name: str) -> int:
        """Pairs whose chunks share a file once they are packed."""
        return int((self._array(name).shards or (1,))[0])

    def by_shard(self, name: str, indices: Iterable[int]) -> list[list[int]]:
        """Indices of pairs, put together by the file that their chunks are packed into."""
        found: dict[int, list[int]] = {}
        for index in indices:
            found.setdefault(index // self.shard_rows(name), []).append(index)
        return list(found.values())

    def chunk(self, name: str, pair_index: int, packed: bool) -> Path:
        """The file that holds the chunk of a pair, or should if the unit that wrote it is packed."""
        alone, shard = self.alone(name, pair_index), self.shard(name, pair_index)
        return shard if shard is not None and packed and not alone.exists() else alone

    def _packed(self, name: str, pair_index: int) -> bytes | None:
        """The encoded chunk of a pair from its block's file, if it is there. Raises DamagedShard."""
        from storage.blocks.shards import read_piece

        shard, rows = self.shard(name, pair_index), self.shard_rows(name)
        return None if shard is None else read_piece(shard, pair_index % rows, rows)

    def _array(self, name: str) -> zarr.Array[Any]:
        if name not in self._opened:
            path = self._folder(name) / "zarr.json"
            known = self._layout.get(path.relative_to(self._run).as_posix())
            if known and (wrong := check_metadata(path, known)):
                raise corrupt(self._run, path, wrong)
            if not self.has(name):
                raise KeyError(f"{self._run} has no array {name}")
            import zarr

            self._opened[name] = cast("zarr.Array[Any]", zarr.open_array(self._folder(name), mode="r"))
        return self._opened[name]

    def _folder(self, name: str) -> Path:
        return self._run / ARRAYS / name
