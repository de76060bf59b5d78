"""Who runs the units: this process, one Dask worker per GPU or per group of cores, or a scheduler somewhere else.

All three are one `Pool`: calls go in, results come out as they finish, and a limited number is in flight. Without Dask
(workers = 0) no process is started, which is right for one GPU or a small CPU machine: PyTorch already uses all cores
from one process, and every further process would hold its own copy of the networks.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from tasks.workers.heartbeat import TOPIC, Listener, listening
from tasks.workers.patience import require_address
from tasks.workers.sizing import visible_gpus
from tasks.workers.watch import ClusterError, Watch

if TYPE_CHECKING:
    from distributed import Client, SpecCluster

WORKER_WAIT = 60
"""Seconds to wait for this command's own workers."""
CONNECT_WAIT = 10
"""Seconds to wait for a scheduler to answer."""
GROUP_SECONDS = 0.25
"""Calls shorter than this travel together, so the round trip (about 10 ms) is paid once for all of them."""
GROUP_CALLS = 32
"""At most this many calls travel together."""


@dataclass(frozen=True)
class Lost:
    """Instead of a result: every worker that tried this call died."""

    reason: str


class Pool(Protocol):
    """Runs functions with small arguments somewhere."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """The function's result; raises what it raises."""

    def run(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """(position in `calls`, result or `Lost`) of every call, in the order in which they finish."""


class Sequential:
    """Everything in this process, one call after the other."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call it here."""
        return function(*args)

    def run(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """One call after the other, in their own order."""
        for position, args in enumerate(calls):
            yield position, function(*args)


class DaskPool:
    """Calls as Dask futures; a call whose worker dies is tried again on another worker by the scheduler."""

    def __init__(self, client: Client, watch: Watch, gpu: bool = False) -> None:
        self._client, self._watch = client, watch
        self._resources = {"GPU": 1} if gpu else None

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call it on a worker. Raises ClusterError if every worker that tries it dies."""
        ((_, result),) = self.run(function, [args])
        if isinstance(result, Lost):
            raise ClusterError(result.reason)
        return result

    def run(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """All calls at once; calls that a dying worker took with it are tried once more, each alone.

        Raises:
            ClusterError: the scheduler is gone, or has had no worker for too long.
        """
        suspects: list[int] = []
        for position, result in self._attempt(function, dict(enumerate(calls)), self._threads):
            if isinstance(result, Lost):
                suspects.append(position)
            else:
                yield position, result
        # A dying worker also takes along the calls that travel with the guilty one or wait behind it. Alone, each shows
        # whether it is the cause.
        for position in suspects:
            yield from self._attempt(function, {position: calls[position]}, lambda: 1)

    def _attempt(
        self, function: Callable[..., Any], calls: dict[int, tuple[Any, ...]], in_flight: Callable[[], int]
    ) -> Iterator[tuple[int, Any]]:
        from distributed import CancelledError, KilledWorker

        waiting = iter(calls.items())
        left, size = len(calls), 1  # nothing is known about these calls yet: the first ones travel alone
        groups: dict[Any, list[int]] = {}
        finished: SimpleQueue[Any] = SimpleQueue()  # `as_completed` would wait for ever if no worker is left

        def top_up() -> None:
            nonlocal left
            limit = in_flight()
            while left and len(groups) < limit:
                # Never more than an even share of what is left; otherwise the last group would keep one worker busy
                # while others wait.
                group = list(islice(waiting, max(1, min(size, left // limit))))
                left -= len(group)
                arguments = [args for _, args in group]
                future = self._client.submit(_call_all, function, arguments, pure=False, resources=self._resources)
                groups[future] = [position for position, _ in group]
                future.add_done_callback(finished.put)

        try:
            top_up()
            while groups:
                future = self._watch.next(finished)
                positions = groups.pop(future)
                results: list[Any]
                try:
                    results, seconds = self._watch.result(future)
                    size = group_size(seconds / len(positions))
                except KilledWorker:
                    reason = "its worker process died every time, perhaps for lack of memory"
                    results = [Lost(reason)] * len(positions)
                top_up()  # before the caller looks at the results, so the worker need not wait for that
                yield from zip(positions, results, strict=True)
        except CancelledError:
            raise self._watch.lost from None
        except Exception:
            if self._watch.gone:  # whatever else was said is a consequence
                raise self._watch.lost from None
            raise
        finally:
            if groups and not self._watch.gone:
                self._client.cancel(list(groups), force=True)

    def _threads(self) -> int:
        # Two calls in flight per thread, so no worker waits for the round trip of its next one; the rest wait on the
        # scheduler. Asked again now and then, because workers come and go; asking is itself a round trip.
        return 2 * max(1, self._watch.threads())


def _call_all(function: Callable[..., Any], calls: list[tuple[Any, ...]]) -> tuple[list[Any], float]:
    """Results of several calls on a worker, and the seconds they took together."""
    start = time.perf_counter()
    results = [function(*args) for args in calls]
    return results, time.perf_counter() - start


def group_size(seconds: float) -> int:
    """How many calls of this length travel together.

    Example:
        >>> group_size(60.0), group_size(0.05), group_size(0.0)
        (1, 5, 32)
    """
    return GROUP_CALLS if seconds * GROUP_CALLS <= GROUP_SECONDS else max(1, round(GROUP_SECONDS / seconds))


@contextmanager
def open_pool(
    workers: int, scheduler: str | None, listener: Listener, say: Callable[[str], None] = lambda text: None
) -> Iterator[Pool]:
    """The pool for `workers` local processes (0: this process) or for the scheduler at an address.

    Args:
        workers: local worker processes; ignored if a scheduler is given.
        scheduler: address of a running Dask scheduler, such as `tcp://10.0.0.5:8786`.
        listener: gets the progress of running units.
        say: gets told when the cluster has no worker.

    Raises:
        ClusterError: the scheduler cannot be reached or has no workers. ConfigError: that is no address.
    """
    if scheduler is None and workers == 0:
        with listening(listener):
            yield Sequential()
        return
    if scheduler is not None:
        require_address(scheduler)
    gpus = visible_gpus()
    with _client(workers, scheduler, gpus) as client:

        def on_event(event: tuple[Any, dict[str, Any]]) -> None:
            beat = event[1]
            listener(beat["stage"], beat["key"], beat["fraction"], beat["loss"])

        client.subscribe_topic(TOPIC, on_event)
        try:
            watch = Watch(client, scheduler, say)
            watch.wait_for_worker()
            yield DaskPool(client, watch, gpu=scheduler is None and bool(gpus))
        finally:
            if client.status == "running":
                client.unsubscribe_topic(TOPIC)


@contextmanager
def _client(workers: int, scheduler: str | None, gpus: list[str]) -> Iterator[Client]:
    import dask
    from distributed import Client

    # Dask's own messages (a worker restarted, a connection closed) are for its developers; what matters to the user
    # arrives as a result or as an error.
    quiet = {"logging": {"distributed": "critical", "distributed.nanny": "critical"}}
    for name in ("distributed", "distributed.client", "distributed.nanny"):  # here; `quiet` is for the workers
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    patience = {"distributed.comm.timeouts.connect": f"{WORKER_WAIT}s", "distributed.scheduler.allowed-failures": 1}
    with dask.config.set(quiet | patience):
        if scheduler is None:
            with local_cluster(workers, gpus) as cluster, Client(cluster, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=WORKER_WAIT)
                yield client
            return
        with _connected(scheduler) as remote:
            yield remote


def _connected(scheduler: str) -> Client:
    """A client of a scheduler somewhere else.

    One that could not connect is closed here and now. Left to the garbage collector, its `__del__` stops its loop under
    a lock of the class; if the collector runs while the next client starts, in this thread under that lock, both wait
    for ever.
    """
    from distributed import Client

    client = Client.__new__(Client)
    try:
        client.__init__(scheduler, set_as_default=False, timeout=CONNECT_WAIT)  # type: ignore[misc]
    except (OSError, ValueError, TypeError) as error:  # TypeError: tls:// without certificates
        with suppress(Exception):  # it may have failed before there was anything to close
            client.close()
        raise ClusterError(f"no Dask scheduler answers at {scheduler} ({' '.join(str(error).split())})") from None
    return client


def local_cluster(workers: int, gpus: list[str]) -> SpecCluster:
    """Worker processes on this machine, one thread each; worker i is pinned to GPU i if there are GPUs.

    Dask's memory limits are off: pausing a worker at 80 % of an arbitrary share would hang a run that uses all memory
    on purpose. If the system kills a worker, its nanny starts another and the scheduler repeats the call.
    """
    from distributed import Nanny, Scheduler, SpecCluster

    def spec(number: int) -> dict[str, Any]:
        options: dict[str, Any] = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "silence_logs": 50}
        if gpus:
            options |= {"env": {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]}, "resources": {"GPU": 1}}
        return {"cls": Nanny, "options": options}

    loopback = {"protocol": "tcp", "host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with _terminal_signals_blocked():
        return SpecCluster(
            workers={number: spec(number) for number in range(workers)},
            scheduler={"cls": Scheduler, "options": loopback},
            silence_logs=50,
        )


@contextmanager
def _terminal_signals_blocked() -> Iterator[None]:
    """Threads and processes that are started here, and theirs, never see Ctrl-C or the end of the terminal.

    A terminal sends both to all processes at once. Only this one should answer: it stops its workers itself, and every
    worker that answered too would print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
