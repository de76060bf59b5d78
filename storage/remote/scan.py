"""Files of a run's folder that belong to its mirror, in the order in which they must be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from storage.parts import ENDING
from storage.remote.index import Stat

FIRST = "done"
"""Markers are read before everything else: what they vouch for was written before them, so it is read as well."""
LEFT_OUT = frozenset({".lock", ".lock.json", ".boot", "starts"})
"""What means something on this machine only."""


def files_of(folder: Path) -> Iterator[tuple[str, Stat]]:
    """Paths relative to a run's folder, with `/`, and what tells whether they have changed."""
    if (folder / FIRST).is_dir():
        yield from _below(folder, FIRST)
    if folder.is_dir():
        yield from _below(folder, "")


def stat_of(found: os.stat_result) -> Stat:
    """What tells whether a file has changed."""
    return (found.st_size, found.st_mtime_ns, found.st_ino)


def _below(root: Path, relative: str) -> Iterator[tuple[str, Stat]]:
    folders: list[str] = []
    with os.scandir(root / relative) as entries:
        for entry in entries:
            path = f"{relative}/{entry.name}" if relative else entry.name
            if entry.name.endswith(ENDING) or (not relative and entry.name in LEFT_OUT):
                continue
            if entry.is_dir(follow_symlinks=False):
                if relative or entry.name != FIRST:
                    folders.append(path)
            elif entry.is_file(follow_symlinks=False) and path.isprintable():
                try:
                    yield path, stat_of(entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue
    for path in folders:
        yield from _below(root, path)
