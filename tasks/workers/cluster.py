"""Where units run: this process, one Dask worker per GPU or per group of cores, or a scheduler somewhere else.

Without Dask (workers = 0) no process is started, which is right for one GPU or a small CPU machine: PyTorch already
uses all cores from one process, and every further process would hold its own copy of the networks.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mgi.progress import CoarseLoss
from tasks.workers.dashboard import NO_CLUSTER, dashboard_line, local_options, wanted
from tasks.workers.heartbeat import TOPIC, Listener, listening
from tasks.workers.patience import require_address
from tasks.workers.pool import DaskPool, Pool, Sequential
from tasks.workers.sizing import visible_gpus
from tasks.workers.watch import ClusterError, Watch

if TYPE_CHECKING:
    from distributed import Client, SpecCluster

WORKER_WAIT = 60
"""Seconds to wait for this command's own workers."""
CONNECT_WAIT = 10
"""Seconds to wait for a scheduler to answer."""
ALLOWED_FAILURES = 1
"""Deaths of its worker that a unit may survive; Dask's own default is 3. Only the scheduler's process reads it: for our
own cluster it is given there, a scheduler elsewhere has to be started with
`DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=1`, as all of `deploy/` does."""


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
            here = Sequential()
            here.notes = [NO_CLUSTER] if wanted.get() else []
            yield here
        return
    if scheduler is not None:
        require_address(scheduler)
    gpus = visible_gpus() if scheduler is None else []
    with _client(workers, scheduler, gpus) as client:

        def on_event(event: tuple[Any, dict[str, Any]]) -> None:
            beat = event[1]
            loss = CoarseLoss(beat["loss"]) if beat.get("coarse") else beat["loss"]
            listener(beat["stage"], beat["key"], beat["fraction"], loss)

        client.subscribe_topic(TOPIC, on_event)
        try:
            watch = Watch(client, scheduler, say)
            watch.wait_for_worker()
            notes = [dashboard_line(client, scheduler)] if wanted.get() else []
            pool = DaskPool(client, watch, scheduler is not None, notes + watch.notes())
            try:
                yield pool
            finally:
                pool.close()
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
    patience = {"distributed.comm.timeouts.connect": f"{WORKER_WAIT}s"}
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

    loopback = {"protocol": "tcp", "host": "127.0.0.1", "allowed_failures": ALLOWED_FAILURES, **local_options()}
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
