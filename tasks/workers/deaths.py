"""Units that kill the only process there is: counted in the store, and given up after some deaths.

Where workers compute, Dask sees that one died and tries elsewhere. Without workers the command itself dies, and only
what it wrote down before keeps the next one from the same end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from storage.starts import Starts
from tasks.stages.base import Call, Stage
from tasks.unit import Job
from tasks.workers.pool import Lost, Pool, Sequential

DEATHS = 3
"""A unit that ended so many processes is not begun again."""


def run_counted(pool: Pool, starts: Starts, stage: Stage, job: Job, calls: Sequence[Call]) -> Iterator[tuple[int, Any]]:
    """`pool.run` of a stage's calls; without workers, those that ended their process too often come out as `Lost`.

    In a stage with several calls per pair, deaths count for the pair: after the last one, its other calls are given up,
    too, and what it has by then is used.
    """
    if not isinstance(pool, Sequential):
        labels = [stage.label(call) for call in calls]
        yield from pool.run(stage.compute, [(job, *call) for call in calls], labels)
        return
    given_up: list[str] = []
    try:
        for position, call in enumerate(calls):
            begun = stage.begun(call)
            deaths = max(starts.deaths.get(unit, 0) for unit in begun)
            if deaths < DEATHS:
                with starts.running(begun):
                    result = pool.call(stage.compute, job, *call)
                yield position, result
            else:
                yield position, Lost(f"its process died {deaths} times, perhaps for lack of memory")
                given_up += begun
        starts.forget(given_up)  # only now: whoever took these results has written down that they failed
    finally:
        starts.close()
