"""Which weights a generator's name or path stands for, by content: measurements of them are kept under their hash.

A path says nothing: a checkpoint may be replaced under its name, and one file may have two. Hashes of the user's own
files are remembered between processes as long as sizes and times stay the same, because a checkpoint may be large.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from mgi.weights import zoo
from mgi.weights.errors import WeightsCorrupt

WORTH_REMEMBERING = 2**20
"""Files with fewer bytes than this are hashed as quickly as their hash is looked up."""


def generator_names() -> list[str]:
    """The zoo's generators."""
    return [entry.name for entry in zoo.entries() if entry.kind == "generator"]


def generator_sha256(name_or_path: str) -> str:
    """Hash of a generator's weights; empty if it is neither in the zoo (and here) nor a file."""
    if name_or_path in generator_names():
        return zoo.expected_sha256(zoo.entry(name_or_path))
    path = Path(name_or_path)
    return content_hashes([path], path)[0] if path.is_file() else ""


def zoo_name(name_or_path: str) -> str | None:
    """The zoo's name of these weights, a copy of them under any path included; None for the user's own weights."""
    names = generator_names()
    if name_or_path in names:
        return name_or_path
    found = generator_sha256(name_or_path)
    return next((name for name in names if found and found == zoo.expected_sha256(zoo.entry(name))), None)


def content_hashes(files: Sequence[Path], name: Path) -> list[str]:
    """Hex sha256 of each file; those that did not change since the last time are not read again.

    Args:
        files: existing files.
        name: what they are together, a file or a folder; their hashes are remembered under it.

    Raises:
        OSError: a file cannot be read.
    """
    stats = [file.stat() for file in files]
    large = sum(stat.st_size for stat in stats) >= WORTH_REMEMBERING
    memory = _memory(name, "json")
    known = _recall(memory) if large else {}
    found: dict[str, list[Any]] = {}
    for file, stat in zip(files, stats, strict=True):
        stamp, before = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns], known.get(str(file))
        found[str(file)] = before if before is not None and before[:3] == stamp else [*stamp, _sha256(file)]
    if large and found != known:
        _remember(memory, found)
    return [str(found[str(file)][3]) for file in files]


def require_as_before(path: Path) -> None:
    """Compare a checkpoint that was just read with what it held when it was last read.

    Nobody publishes the hash of the user's own file. What can be known without one: a file whose size and time are the
    same has the same bytes, unless a disk, a copy or a hand damaged it. A file with another time was replaced; it is
    taken as it is, and runs that used the old one refuse it (`mgi.own_files`).

    Raises:
        WeightsCorrupt: other bytes, with the old size and time.
        OSError: it cannot be read.
    """
    stat = path.stat()
    if stat.st_size < WORTH_REMEMBERING:
        return
    memory, found = _memory(path, "read.json"), [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, _sha256(path)]
    known = _recall(memory).get(str(path.absolute()))
    if known is not None and known[:2] == found[:2] and known[3] != found[3]:
        raise WeightsCorrupt(
            f"{path} has sha256 {str(found[3])[:12]}..., and {str(known[3])[:12]}... when it was last read, though its "
            "size and time are the same: it is damaged; get the file again, or `touch` it if the change is meant"
        )
    if known is None or known != found:
        _remember(memory, {str(path.absolute()): found})


def _memory(name: Path, ending: str) -> Path:
    digest = hashlib.sha256(os.fsencode(name.absolute())).hexdigest()[:32]
    return user_cache_path("mgi") / "hashes" / f"{digest}.{ending}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recall(memory: Path) -> dict[str, list[Any]]:
    try:
        found = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(entry, list) and len(entry) == 4 for entry in found.values())
    return found if whole else {}


def _remember(memory: Path, found: dict[str, list[Any]]) -> None:
    with contextlib.suppress(OSError):  # a cache folder that cannot be written only costs time
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, suffix=".part", delete=False) as file:
            json.dump(found, file)
        Path(file.name).replace(memory)
