"""Done markers: one small file per finished unit of work, `done/<stage>/<key>.json`.

A marker is the only proof that something is done. The existence of a chunk proves nothing: zarr leaves out chunks of
zeros and reads missing ones as zeros. A marker is written last, by rename, so a process killed at any moment leaves
either the marker and everything it stands for, or no marker. After a crash of the machine that order may not hold;
`trusted` tells whether a marker is older than a crash. A marker is sealed (`storage.seal`): one that was changed since
counts as damaged, not as a marker.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from storage.atomic import write_bytes
from storage.boot import boot_id
from storage.seal import BrokenSeal, opened, sealed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,199}")
_UNSEALED = {"arrays", "boot", "digest", "files", "pair_index", "payload"}
"""Entries of the markers of versions before 0.3, which had no seal."""


class Markers:
    """The markers of one run. Any number of processes may read and write; each key has one writer at a time."""

    def __init__(self, folder: Path, digest: str) -> None:
        """Touch nothing yet.

        Args:
            folder: the run's `done` folder; need not exist yet.
            digest: the digest of the run's configuration; markers with another one do not count.
        """
        self._folder = folder
        self._digest = digest

    def write(self, stage: str, key: str, content: dict[str, Any]) -> None:
        """Publish `content` under `stage` and `key`.

        Raises:
            ValueError: a name is not usable as a file name, or `content` is not JSON (NaN is not).
            OSError: it cannot be written; no marker is left then.
        """
        whole = {"digest": self._digest, "boot": boot_id(), **content}
        write_bytes(self.path(stage, key), sealed(whole), flush=boot_id() is None)

    def read(self, stage: str, key: str) -> dict[str, Any] | None:
        """The content of a marker of this run's digest; None if there is none, or only a damaged one."""
        try:
            return self.require(stage, key)
        except BrokenSeal:
            return None

    def require(self, stage: str, key: str) -> dict[str, Any] | None:
        """As `read`. Raises BrokenSeal: the marker is damaged."""
        try:
            content, has_seal = opened(self.path(stage, key).read_bytes())
        except FileNotFoundError:
            return None
        if not has_seal and content.keys() != _UNSEALED:  # a changed name of the entry that is the seal
            raise BrokenSeal("it has no seal")
        return content if content["digest"] == self._digest else None

    def path(self, stage: str, key: str) -> Path:
        """The file of a marker."""
        return self._folder / _checked(stage) / f"{_checked(key)}.json"

    @staticmethod
    def trusted(content: dict[str, Any]) -> bool:
        """Whether what a marker stands for is certainly there: it was flushed, or the machine did not restart since."""
        return content.get("boot") in (None, boot_id())

    def remove(self, stage: str, key: str) -> None:
        """Forget that `key` is done; the next run of the stage computes it again."""
        self.path(stage, key).unlink(missing_ok=True)

    def keys(self, stage: str) -> set[str]:
        """Keys of all markers of `stage`, from one listing: their content is not read."""
        folder = self._folder / _checked(stage)
        if not folder.is_dir():
            return set()
        return {entry.name.removesuffix(".json") for entry in folder.iterdir() if _is_marker(entry.name)}

    def stages(self) -> list[str]:
        """Stages that have markers."""
        return sorted(path.name for path in self._folder.iterdir() if path.is_dir()) if self._folder.is_dir() else []

    def any(self) -> bool:
        """Whether there is any marker, of whatever stage."""
        return any(_is_marker(path.name) for path in self._folder.glob("*/*.json"))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of letters, digits and any of . _ - @, at most 200 of them, found {name!r}")
    return name


def _is_marker(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")  # a leading dot: half-written, its writer was killed
