"""One writer per run: a lock that ends with its process and says who holds it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock

from storage.parts import sweep


class RunLocked(RuntimeError):
    """Another process writes this run; one line that names it."""


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the run in `folder`. The process that steers a run takes it, not its workers.

    The operating system holds the lock for the process (flock), so a killed process never blocks anybody. What it was
    writing when it was killed is removed here.

    Raises:
        RunLocked: somebody else holds it.
    """
    holder = folder / ".lock.json"
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise RunLocked(
            f"{folder} is being written by {_describe(holder)}; wait for it, stop it, or use another folder"
        ) from None
    try:
        if holder.exists():
            sweep(folder)
        holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
        yield
        holder.unlink(missing_ok=True)
    finally:
        lock.release()


def _describe(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # it has the lock and has not written its name yet
