"""A Dask scheduler and its workers as processes of their own, which tests may kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runs import environment

SCHEDULER = """
import asyncio
from distributed import Scheduler

async def main():
    async with Scheduler(host="127.0.0.1", protocol="tcp", dashboard=False, dashboard_address=None) as it:
        print(it.address, flush=True)
        await it.finished()

asyncio.run(main())
"""
WORKER = """
import asyncio, sys
from distributed import Worker

async def main():
    async with Worker(sys.argv[1], nthreads=1, dashboard=False, death_timeout=10) as it:
        print(it.address, flush=True)
        await it.finished()

asyncio.run(main())
"""


@contextmanager
def process(script: str, *arguments: str, folder: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running script and the first line that it prints; it is gone at the end."""
    command = [sys.executable, "-c", script, *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=environment(**more), cwd=folder, **streams) as running:  # type: ignore[call-overload]
        try:
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A scheduler without workers, and its address."""
    with process(SCHEDULER, folder=folder) as found:
        yield found


@contextmanager
def worker(address: str, folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A worker with one thread, which nobody starts again."""
    with process(WORKER, address, folder=folder, **more) as (running, _):
        yield running


def _hear() -> None:
    """Take signals as a terminal's command does: a shell's background job, under which tests may run, ignores some."""
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)


@contextmanager
def started(command: list[str], ready: Callable[[], bool], **more: str) -> Iterator[subprocess.Popen[str]]:
    """A command that has got as far as `ready` says, with its output in pipes, in a process group of its own."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    streams["preexec_fn"] = _hear  # type: ignore[assignment]
    with subprocess.Popen(command, env=environment(**more), **streams) as running:  # type: ignore[call-overload]
        deadline = time.monotonic() + 60
        try:
            while not ready():
                assert running.poll() is None, running.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield running
        finally:
            running.kill()
