"""The arrays of a run, `run.zarr/<name>`: one chunk per pair, written and read by itself.

A chunk has a file of its own until its block is packed (`storage.blocks`), and again once it is written anew: that file
then counts, until the next packing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from storage.run_layout import ARRAYS, check_metadata

if TYPE_CHECKING:  # zarr takes a second, which `mgi status` does not need: it reads markers
    import numpy as np
    import zarr

    from storage.chunks import ChunkFiles


class StoreCorrupt(RuntimeError):
    """What was read back is not what was written; one line that names the file and says what to do."""


def corrupt(run: Path, path: Path, said: str) -> StoreCorrupt:
    """The error for a damaged file of a run, such as `said` "is gone"."""
    return StoreCorrupt(f"{path} {said}; `mgi verify {run} --repair`, then `mgi resume {run}` makes it again")


def hash_of(value: np.ndarray) -> str:
    """sha256 of an array's bytes, as markers hold it."""
    return hashlib.sha256(value.tobytes()).hexdigest()


class RunArrays:
    """The arrays below one run's folder; each is opened once."""

    def __init__(self, run: Path, layout: Mapping[str, Mapping[str, Any]]) -> None:
        self._run, self._layout = run, layout
        self._opened: dict[str, ChunkFiles] = {}

    def write(self, name: str, pair_index: int, value: np.ndarray) -> None:
        """Write one pair's value.

        Raises:
            KeyError: no such array. ValueError: the shape or dtype is not the planned one. OSError: it cannot be
                written.
        """
        import numpy as np

        from storage.chunks import write_chunk

        target, found = self.files(name), np.asarray(value)
        if found.shape != target.shape or found.dtype != target.dtype:
            planned = f"{target.dtype} {list(target.shape)}"
            raise ValueError(f"{name} holds {planned} per pair, found {found.dtype} {list(found.shape)}")
        write_chunk(target.alone(pair_index), found)

    def read(self, name: str, pair_index: int) -> np.ndarray | None:
        """One pair's value; None if its chunk is in no file.

        Raises:
            KeyError: no such array. StoreCorrupt: the file of the chunk is damaged.
        """
        from storage.blocks.shards import DamagedShard, read_piece
        from storage.chunks import DamagedChunk, decoded, read_chunk

        source = self.files(name)
        try:
            found = read_chunk(source.alone(pair_index), source.shape, source.dtype)
            if found is not None or (shard := source.shard(pair_index)) is None:
                return found
            piece = read_piece(shard, pair_index % source.rows, source.rows)
            return None if piece is None else decoded(piece, source.shape, source.dtype)
        except (DamagedChunk, DamagedShard) as error:
            raise corrupt(self._run, self.chunk(name, pair_index, packed=True), f"is damaged ({error})") from None

    def zeros(self, name: str) -> np.ndarray:
        """What zarr reads where a chunk has no file."""
        import numpy as np

        source = self.files(name)
        return np.zeros(source.shape, source.dtype)

    def has(self, name: str) -> bool:
        """Whether the run has an array of this name."""
        return (self._folder(name) / "zarr.json").is_file()

    def by_shard(self, name: str, indices: Iterable[int]) -> list[list[int]]:
        """Indices of pairs, put together by the file that their chunks are packed into."""
        found: dict[int, list[int]] = {}
        for index in indices:
            found.setdefault(index // self.files(name).rows, []).append(index)
        return list(found.values())

    def chunk(self, name: str, pair_index: int, packed: bool) -> Path:
        """The file that holds the chunk of a pair, or should if the unit that wrote it is packed."""
        files = self.files(name)
        alone, shard = files.alone(pair_index), files.shard(pair_index)
        return shard if shard is not None and packed and not alone.exists() else alone

    def files(self, name: str) -> ChunkFiles:
        """Shape and files of an array. Raises KeyError, StoreCorrupt."""
        if name not in self._opened:
            path = self._folder(name) / "zarr.json"
            known = self._layout.get(path.relative_to(self._run).as_posix())
            if known and (wrong := check_metadata(path, known)):
                raise corrupt(self._run, path, wrong)
            if not self.has(name):
                raise KeyError(f"{self._run} has no array {name}")
            import zarr

            from storage.chunks import ChunkFiles

            array = cast("zarr.Array[Any]", zarr.open_array(self._folder(name), mode="r"))
            self._opened[name] = ChunkFiles(array, self._folder(name))
        return self._opened[name]

    def _folder(self, name: str) -> Path:
        return self._run / ARRAYS / name
