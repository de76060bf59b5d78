"""Done markers: one small file per finished unit of work, `done/<stage>/<key>.json`.

A marker is the only proof that something is done: the existence of a chunk proves nothing (zarr leaves out chunks of
zeros and reads missing ones as zeros). It is written last, by rename, after what it stands for, so a process killed at
any moment leaves either the marker and everything it stands for, or no marker. After a crash of the machine that order
may not hold; `trusted` tells whether a marker is from before one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from storage.atomic import write_bytes
from storage.boot import boot_id

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,199}")


class Markers:
    """The markers of one run. Any number of processes may read and write; each key has one writer at a time."""

    def __init__(self, folder: Path, digest: str) -> None:
        """Touch nothing yet.

        Args:
            folder: the run's `done` folder; need not exist yet.
            digest: the run's configuration; markers of another one do not count.
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
        text = json.dumps(whole, allow_nan=False, sort_keys=True, indent=1)
        write_bytes(self._path(stage, key), text.encode(), flush=boot_id() is None)

    def read(self, stage: str, key: str) -> dict[str, Any] | None:
        """The content of a marker of this run's digest; None where there is none."""
        try:
            content = json.loads(self._path(stage, key).read_bytes())
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            return None
        return content if isinstance(content, dict) and content.get("digest") == self._digest else None

    @staticmethod
    def trusted(content: dict[str, Any]) -> bool:
        """Whether what a marker stands for is certainly there: it was flushed, or the machine did not restart since."""
        return content.get("boot") in (None, boot_id())

    def remove(self, stage: str, key: str) -> None:
        """Forget that `key` is done; the next run of the stage computes it again."""
        self._path(stage, key).unlink(missing_ok=True)

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

    def _path(self, stage: str, key: str) -> Path:
        return self._folder / _checked(stage) / f"{_checked(key)}.json"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of letters, digits and any of . _ - @, at most 200 of them, found {name!r}")
    return name


def _is_marker(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")  # a leading dot: half-written, its writer was killed
