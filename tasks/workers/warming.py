"""Networks loaded once per worker process, before its first unit, and also in workers that join or come back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client, WorkerPlugin


def load(config_json: str, threads: int | None) -> None:
    """Load a configuration's networks into this process, where its units find them; later calls find them loaded."""
    from tasks.method import layout_of
    from tasks.workers.calls import ONE_AT_A_TIME

    with ONE_AT_A_TIME:
        layout_of(config_json, threads)


@contextmanager
def warmed(client: Client, config_json: str, threads: int | None) -> Iterator[None]:
    """Workers have the networks of a configuration loaded, those that join meanwhile included.

    Only the command that brought the plugin takes it away, not another run of the same configuration. What is loaded
    stays.

    Raises:
        mgi.weights.WeightsError: a worker lacks weights. ConfigError, mgi.generators.GeneratorError: as of
            `tasks.method.layout_of`.
    """
    name = f"mgi-{hashlib.sha256(f'{threads}/{config_json}'.encode()).hexdigest()[:12]}"
    answers: Any = {"": "a failure: it is there nevertheless"}
    try:
        # Not an OSError of the way there: whoever went away loads nothing, and the others load when they compute.
        with suppress(OSError):
            answers = client.register_plugin(_plugin(config_json, threads), name)  # no answer: it was there
        yield
    finally:
        with suppress(OSError, ValueError, TimeoutError):  # the scheduler is gone
            if answers and client.status == "running":
                client.unregister_worker_plugin(name)


def _plugin(config_json: str, threads: int | None) -> WorkerPlugin:
    """A plugin that travels by value.

    On a shared scheduler it also reaches workers that have no mgi, and must not keep them from starting.
    """
    from distributed import WorkerPlugin

    class Warm(WorkerPlugin):
        idempotent = True  # two runs of one configuration on one scheduler: the second finds everything loaded

        async def setup(self, worker: Any) -> None:
            import asyncio

            try:
                from tasks.workers.warming import load
            except ImportError:
                return
            # In the thread of the units: PyTorch keeps some of its settings per thread.
            executor = worker.executors["default"]
            await asyncio.get_running_loop().run_in_executor(executor, load, config_json, threads)

    return Warm()
