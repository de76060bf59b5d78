"""Waiting for results of a Dask cluster: never in silence, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from tasks.workers.patience import NOTICE, patience
from tasks.workers.resources import Demand, Workers

if TYPE_CHECKING:
    from distributed import Client

LOOK = 2.0
"""Seconds between two looks at the cluster."""
ANSWER_WAIT = 10
"""Seconds that a scheduler may take to answer."""


class ClusterError(RuntimeError):
    """No worker can be reached; one line that says what to do."""


class Watch:
    """Knows which workers of a cluster units may go to, and since when there is none.

    Args:
        client: connected to the cluster.
        scheduler: its address as the user gave it; None: the cluster is this command's own.
        say: shows a line to the user.
    """

    def __init__(self, client: Client, scheduler: str | None, say: Callable[[str], None]) -> None:
        self._client, self._say = client, say
        scheduler = scheduler and scheduler.rpartition("@")[2]  # before it could be a password
        self._scheduler = scheduler
        self._name = "this command's cluster" if scheduler is None else f"the scheduler at {scheduler}"
        self._limit = patience.get()
        self.demand = Demand()
        """What units ask of a worker: decided by the first workers, and kept."""
        self._workers: Workers = {}
        self._looked = float("-inf")
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

    def able(self) -> list[str]:
        """Addresses of the workers that units may go to, as of the last look, which is not long ago."""
        if time.monotonic() - self._looked > LOOK:
            self._look()
        return list(self.demand.able(self._workers))

    def threads(self) -> int:
        """CPU threads for a unit on these workers."""
        return self.demand.threads(self._workers)

    def notes(self) -> list[str]:
        """What the user should know about workers that somebody else started, one line each."""
        return [] if self._scheduler is None else self.demand.notes(self._workers, self._scheduler)

    def wait_for_worker(self) -> None:
        """Return as soon as there is a worker. Raises ClusterError: none comes, or the scheduler is gone."""
        while not self._workers:
            self._look()
            if not self._workers:
                time.sleep(0.2)
        self.demand = Demand.of(self._workers)

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
            found = self._client.sync(self._client.scheduler.identity, callback_timeout=ANSWER_WAIT)  # type: ignore[union-attr]
            self._workers = found["workers"]
        except (OSError, TimeoutError):  # it is gone, which the client notices, or stuck, which counts as no worker
            self._workers = {}
        now = self._looked = time.monotonic()
        if self.demand.able(self._workers):
            if self._told:
                self._say(f"note: {self._name} has a worker again")
            self._alone_since, self._told = None, False
            return
        self._alone_since = now if self._alone_since is None else self._alone_since
        alone = now - self._alone_since
        if alone >= min(NOTICE, self._limit / 2) and not self._told:
            self._told = True
            self._say(
                f"note: {self._name} has no {self._kind}{self._advice}; this command waits {self._limit} s for one"
            )
        if alone >= self._limit:
            raise ClusterError(f"{self._name} had no {self._kind} for {self._limit} s{self._advice}")

    @property
    def _kind(self) -> str:
        return f"worker with {self.demand.resource}=1" if self.demand.resource else "worker"

    @property
    def _advice(self) -> str:
        if self._scheduler is None:
            return ""
        asked = f' --resources "{self.demand.resource}=1"' if self.demand.resource else ""
        return f"; start one with `dask worker {self._scheduler}{asked}`"
