"""Waiting for results of a Dask cluster: never in silence, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from tasks.workers.patience import NOTICE, patience

if TYPE_CHECKING:
    from distributed import Client

LOOK = 2.0
"""Seconds between two looks at the cluster."""
ANSWER_WAIT = 10
"""Seconds that a scheduler may take to answer."""


class ClusterError(RuntimeError):
    """No worker can be reached; one line that says what to do."""


class Watch:
    """Knows how many threads a cluster has, and since when it has none.

    Args:
        client: connected to the cluster.
        scheduler: its address as the user gave it; None: the cluster is this command's own.
        say: shows a line to the user.
    """

    def __init__(self, client: Client, scheduler: str | None, say: Callable[[str], None]) -> None:
        self._client, self._say = client, say
        scheduler = scheduler and scheduler.rpartition("@")[2]  # before it could be a password
        self._name = "this command's cluster" if scheduler is None else f"the scheduler at {scheduler}"
        self._advice = "" if scheduler is None else f"; start one with `dask worker {scheduler}`"
        self._limit = patience.get()
        self._threads, self._looked = 0, float("-inf")
        self._alone_since: float | None = None
        self._told = False

    @property
    def gone(self) -> bool:
        """Whether the scheduler was lost."""
        return self._client.status != "running"

    @property
    def lost(self) -> ClusterError:
        """The error that says that it was."""
        return ClusterError(f"{self._name} does not answer any more: its process ended, or the network did")

    def threads(self) -> int:
        """Threads of all workers, as of the last look, which is not long ago."""
        if time.monotonic() - self._looked > LOOK:
            self._look()
        return self._threads

    def wait_for_worker(self) -> None:
        """Return as soon as there is a worker. Raises ClusterError: none comes, or the scheduler is gone."""
        while not self._threads:
            self._look()
            if not self._threads:
                time.sleep(0.2)

    def next(self, finished: SimpleQueue[Any]) -> Any:
        """What comes out of a queue next. Raises ClusterError: no worker is left to fill it."""
        while True:
            try:
                return finished.get(timeout=LOOK)
            except Empty:
                self._look()

    def result(self, future: Any) -> Any:
        """The result of a call that has ended. Raises what the call raised, and ClusterError as `next` does.

        A worker that dies right after a call takes the result with it; then the call waits for another worker. The
        result is asked for once and stays asked for between two looks: Dask leaves the parts of a question that runs
        into a time limit behind, and asyncio prints a traceback for each when the client closes.
        """
        from distributed.comm import CommClosedError  # slow to import

        loop = self._client.loop.asyncio_loop  # type: ignore[union-attr]  # Tornado's types do not tell of it
        asked = asyncio.run_coroutine_threadsafe(self._client.gather(future, asynchronous=True), loop)
        while True:
            try:
                return asked.result(timeout=LOOK)
            except CommClosedError:  # the scheduler went in the middle of the answer; the client notices a moment later
                raise self.lost from None
            except TimeoutError:
                if asked.done():  # the call's own
                    raise
                self._look()

    def _look(self) -> None:
        if self.gone:
            raise self.lost
        try:
            self._threads = sum(self._client.nthreads(callback_timeout=ANSWER_WAIT).values())
        except (OSError, TimeoutError):  # it is gone, which the client notices, or stuck, which counts as no worker
            self._threads = 0
        now = self._looked = time.monotonic()
        if self._threads:
            if self._told:
                self._say(f"note: {self._name} has a worker again")
            self._alone_since, self._told = None, False
            return
        self._alone_since = now if self._alone_since is None else self._alone_since
        alone = now - self._alone_since
        if alone >= min(NOTICE, self._limit / 2) and not self._told:
            self._told = True
            self._say(f"note: {self._name} has no worker{self._advice}; this command waits {self._limit} s for one")
        if alone >= self._limit:
            raise ClusterError(f"{self._name} had no worker for {self._limit} s{self._advice}")
