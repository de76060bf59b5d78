"""A run on many workers, simulated: one client, one scheduler, workers with two units each, stage after stage.

What is left out: the network, the store's own limits, and workers that die. What is in: that the client and the
scheduler each serve one unit after the other, that a stage of a shard ends before the next begins, and that units take
different times.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from itertools import count
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
        >>> round(slow.seconds), "640 units, of which the client handles ten per second"
        (64, '640 units, of which the client handles ten per second')
    """
    draw, now, computed = random.Random(seed), 0.0, 0.0
    for start in range(0, pairs, shard):
        size = min(shard, pairs - start)
        for stage in stages:
            units = [
                max(0.0, draw.gauss(stage.seconds, stage.spread * stage.seconds)) for _ in range(size * stage.per_pair)
            ]
            computed += sum(units)
            now = _stage(units, now, workers, costs)
    return Outcome(now, computed / (workers * now) if now else 1.0)


def _stage(units: list[float], now: float, workers: int, costs: Costs) -> float:
    """When the last result of one stage of a shard has arrived, if the client begins it at `now`.

    A unit passes client, scheduler, worker, scheduler, client; client and scheduler serve what arrives first, and half
    of their time for a unit is for sending it, half for taking its result.
    """
    free = {"client": now, "scheduler": now}
    idle = [now] * workers
    waiting = iter(units)
    events: list[tuple[float, int, str, int, float]] = []
    numbers = count()

    def serve(server: str, at: float, seconds: float) -> float:
        free[server] = max(free[server], at) + seconds / 2
        return free[server]

    def send(at: float, worker: int) -> None:
        seconds = next(waiting, None)
        if seconds is not None:
            heapq.heappush(events, (serve("client", at, costs.client), next(numbers), "sent", worker, seconds))

    for _ in range(IN_FLIGHT):
        for worker in range(workers):
            send(now, worker)
    while events:
        at, _, what, worker, seconds = heapq.heappop(events)
        if what == "sent":
            begins = max(serve("scheduler", at, costs.scheduler), idle[worker])
            idle[worker] = begins + costs.worker + seconds
            heapq.heappush(events, (idle[worker], next(numbers), "computed", worker, 0.0))
        elif what == "computed":
            at = serve("scheduler", at, costs.scheduler)
            heapq.heappush(events, (at, next(numbers), "result", worker, 0.0))
        else:
            now = serve("client", at, costs.client)
            send(now, worker)
    return now
