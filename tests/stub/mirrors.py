"""Commands on a remote run, without a run: folders that are changed and published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage.remote.bucket import Bucket
from storage.remote.mirror import Mirror, Options, open_mirror
from storage.seal import sealed

Files = dict[str, bytes]


def options(cache: Path, **more: float) -> Options:
    """Every push at once."""
    return Options(cache, **{"seconds": 0.0, "patience": 20.0, **more})


def work(address: str, cache: Path, change: Callable[[Mirror], object], **more: float) -> list[str]:
    """One command that makes a change; returns what it says."""
    said: list[str] = []
    with open_mirror(address, options(cache, **more), said.append, new=True) as mirror:
        change(mirror)
    return said


def nothing(mirror: Mirror) -> None:
    """A change that is none."""


def write(mirror: Mirror, files: Files) -> None:
    """Write files as a run does: nobody sees a half-written one."""
    for name, data in files.items():
        path = mirror.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name("new").write_bytes(data)
        path.with_name("new").replace(path)


def read(folder: Path) -> Files:
    """All files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def copied(address: str, cache: Path) -> Files:
    """What a machine finds that knows nothing."""
    found: Files = {}
    work(address, cache, lambda mirror: found.update(read(mirror.path)))
    return found


def some(count: int, at: int = 0) -> Files:
    """A header and markers."""
    return {"run.json": b"{}"} | {f"done/invert/{n}.json": b"%d" % n * 9 for n in range(at, at + count)}


def lease(address: str) -> dict[str, Any]:
    """The lease as it is."""
    content, _ = Bucket(address).read_sealed("lease.json", "") or ({}, "")
    return content


def change_lease(address: str, **more: Any) -> None:
    """Let the lease say something else, whatever it says."""
    Bucket(address).write("lease.json", sealed({**lease(address), **more}))
