"""`starts/`: how often units were begun that never ended, because they took their process with them.

One small file per running unit, gone when the unit ends. A killed process leaves its files behind; the next one begins
these units again and adds to them. A file holds one byte per start, so none can be half-written.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


class Starts:
    """The starts of one run's units. For the process that holds the run's lock, one at a time."""

    def __init__(self, run: Path) -> None:
        """List what earlier processes left."""
        self._folder = run / "starts"
        self.deaths: dict[str, int] = {}
        """{unit: how many processes died in it}."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            self.deaths = {entry.name: entry.stat().st_size for entry in entries}

    @contextlib.contextmanager
    def running(self, units: Iterable[str]) -> Iterator[None]:
        """These units run in this process, and end with the block. An exception ends them, too: it is no death."""
        paths = [self._folder / unit for unit in units]
        self._folder.mkdir(exist_ok=True)
        try:
            for path in paths:
                with path.open("ab") as file:
                    file.write(b".")
            yield
        except BaseException:
            for path in paths:
                self._take_back(path)
            raise
        self.forget(path.name for path in paths)

    def forget(self, units: Iterable[str]) -> None:
        """Forget how often these units were begun."""
        for unit in units:
            self.deaths.pop(unit, None)
            (self._folder / unit).unlink(missing_ok=True)

    def close(self) -> None:
        """Leave no empty folder behind."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _take_back(self, path: Path) -> None:
        if deaths := self.deaths.get(path.name, 0):
            os.truncate(path, deaths)
        else:
            path.unlink(missing_ok=True)
