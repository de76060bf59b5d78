"""A run on many workers, simulated: one client, one scheduler, workers with two units each, stage after stage.

What is left out: the network, the store's own limits, and workers that die. What is in: that the client and the
scheduler each serve one unit after the other, that a stage of a shard ends before the next begins, and that units take
different times.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from typing import NamedTuple

IN_FLIGHT = 2
"""Units per worker that are computed or wait there, as `tasks.workers.pool` keeps them."""


class Costs(NamedTuple):
    """Seconds per unit besides computing it."""

    client: float
    scheduler: float
    worker: float


class StageTimes(NamedTuple):
    """Units of a stage: how many a pair has, their mean seconds, and the standard deviation as a share of that."""

    name: str
    per_pair: int
    seconds: float
    spread: float = 0.1


class Outcome(NamedTuple):
    """How a run went: its seconds, and what share of the workers' time was spent on computing."""

    seconds: float
    efficiency: float


def simulate(
    stages: Sequence[StageTimes], pairs: int, workers: int, costs: Costs, shard: int = 64, seed: int = 0
) -> Outcome:
    """A run of so many pairs on so many workers.

    Example:
        >>> free = Costs(0, 0, 0)
        >>> simulate([StageTimes("a", 1, 2.0, spread=0)], pairs=64, workers=4, costs=free)
        Outcome(seconds=32.0, efficiency=1.0)
        >>> slow = simulate([StageTimes("a", 1, 2.0, spread=0)], 640, 64, Costs(client=0.1, scheduler=0, worker=0), 640)
        >>> round(slow.seconds), "64 seconds of submitting, and the last unit"
        (66, '64 seconds of submitting, and the last unit')
    """
    draw, now, computed = random.Random(seed), 0.0, 0.0
    for start in range(0, pairs, shard):
        count = min(shard, pairs - start)
        for stage in stages:
            units = [
                max(0.0, draw.gauss(stage.seconds, stage.spread * stage.seconds)) for _ in range(count * stage.per_pair)
            ]
            computed += sum(units)
            now = _stage(units, now, workers, costs)
    return Outcome(now, computed / (workers * now) if now else 1.0)


def _stage(units: list[float], now: float, workers: int, costs: Costs) -> float:
    """When the last result of one stage of a shard has arrived, if the client begins it at `now`.

    Half of the client's and the scheduler's time of a unit is for sending it, half for taking its result.
    """
    client = scheduler = now
    free = [now] * workers
    running: list[tuple[float, int]] = []
    waiting = iter(units)

    def send(worker: int) -> None:
        nonlocal client, scheduler
        seconds = next(waiting, None)
        if seconds is not None:
            client += costs.client / 2
            scheduler = max(scheduler, client) + costs.scheduler / 2
            free[worker] = max(scheduler, free[worker]) + costs.worker + seconds
            heapq.heappush(running, (free[worker], worker))

    for _ in range(IN_FLIGHT):
        for worker in range(workers):
            send(worker)
    while running:
        ended, worker = heapq.heappop(running)
        scheduler = max(scheduler, ended) + costs.scheduler / 2
        client = max(client, scheduler) + costs.client / 2
        send(worker)
    return client
