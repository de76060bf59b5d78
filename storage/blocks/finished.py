"""Which rows of the arrays are finished, for programs that read `run.zarr` and know nothing of markers.

    run.zarr/<group>/finished [pair, array] bool, run.zarr/finished [pair] bool

One chunk per block of pairs, derived from the block's record: it says true where a unit published the array's row and
its chunk is packed, so that zarr reads it; in the root, where a pair's result was published. It is removed before the
record changes and written after that. So a process that is killed leaves false for what is done, never true for what is
not, and the next command that works on the run writes what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.run_layout import ARRAYS, array_names

if TYPE_CHECKING:  # takes as long as all of `mgi status`
    import numpy as np

FINISHED = "finished"
"""Name of these arrays."""
OF_GROUP, OF_ROOT = "whether the row holds what its unit published", "whether the pair has a result"
"""What they say."""
RESULTS = "final/"
"""How the names of results begin among the files of a unit."""

Units = Mapping[tuple[str, str], Mapping[str, Any]]


class FinishedRows:
    """The arrays `finished` of one run. Only the process that holds the run's lock writes."""

    def __init__(self, run: Path, layout: Mapping[str, Mapping[str, Any]], rows: int) -> None:
        """Touch nothing yet.

        Args:
            run: its folder.
            layout: the one in its header.
            rows: pairs of a block.
        """
        self._folder, self.rows = run / ARRAYS, rows
        self.groups: dict[str, list[str]] = {}
        """{group: names of its arrays in the order of the columns}."""
        for name in array_names(layout):
            group, _, short = name.partition("/")
            self.groups.setdefault(group, []).append(short)

    def drop(self, block: int) -> None:
        """No row of a block counts as finished."""
        for path in self.paths(block):
            path.unlink(missing_ok=True)

    def write(self, block: int, units: Units) -> None:
        """Write what a block's record says.

        Args:
            block: its number.
            units: {(stage, key): the marker's content} of its record.
        """
        from storage.chunks import write_chunk

        for path, mask in self.masks(block, units).items():
            write_chunk(path, mask)

    def masks(self, block: int, units: Units) -> dict[Path, np.ndarray]:
        """{file: its value}: bool [rows] of the root, and [rows, arrays] of each group."""
        import numpy as np

        published: dict[str, list[int]] = {}
        for content in units.values():
            row = content["pair_index"] - block * self.rows
            for name in content["arrays"]:
                published.setdefault(name, []).append(row)
            if any(name.startswith(RESULTS) for name in content["files"]):
                published.setdefault("", []).append(row)
        root, *paths = self.paths(block)
        found = {root: np.zeros(self.rows, bool)}
        found[root][published.get("", [])] = True
        for path, (group, names) in zip(paths, self.groups.items(), strict=True):
            found[path] = np.zeros((self.rows, len(names)), bool)
            for column, name in enumerate(names):
                found[path][published.get(f"{group}/{name}", []), column] = True
        return found

    def has(self, block: int) -> bool:
        """Whether all chunks of a block are there."""
        return all(path.is_file() for path in self.paths(block))

    def paths(self, block: int) -> list[Path]:
        """The files of a block: the root's, then those of the groups in their order."""
        folder = f"{self._folder}/"
        names = [f"{FINISHED}/c.{block}", *(f"{group}/{FINISHED}/c.{block}.0" for group in self.groups)]
        return [Path(folder + name) for name in names]

    def drop_all(self) -> None:
        """No row counts as finished."""
        for group in ("", *self.groups):
            folder = self._folder / group / FINISHED
            for name in os.listdir(folder) if folder.is_dir() else ():  # noqa: PTH208 - thousands
                if name.startswith("c."):
                    (folder / name).unlink()
