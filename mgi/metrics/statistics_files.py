"""Files of a domain's statistics: written whole or not at all, and made again if they are missing or damaged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, TypeVar


class StatisticsError(ValueError):
    """Domain statistics cannot be used; the message is one line and says what to do."""


class Kept(Protocol):
    """Statistics that can be written."""

    def save(self, path: Path) -> None:
        """Write them to a file."""
        ...


S = TypeVar("S", bound=Kept)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content gets its final name only when it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def cached(path: Path, read: Callable[[Path], S], build: Callable[[], S]) -> S:
    """The statistics in `path`. If they are not there or damaged, `build` makes them and they are saved."""
    try:
        return read(path)
    except StatisticsError:
        made = build()
        made.save(path)
        return made
