"""Which workers of a cluster get units, and how many units it runs at a time: one per worker process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RESOURCES = ("MGI", "GPU")
"""Resources that a worker may declare (`dask worker --resources "GPU=1"`); the first that any worker has is asked for.
`MGI` is for workers without a GPU, and for those of a shared cluster that shall compute nothing else of ours."""

Workers = Mapping[str, Mapping[str, Any]]
"""{address: what the scheduler knows about the worker}, with `nthreads` and `resources` among it."""


@dataclass(frozen=True)
class Demand:
    """What every unit asks of its worker."""

    resource: str | None = None

    @classmethod
    def of(cls, workers: Workers) -> Demand:
        """What to ask for, by what the workers declare.

        Example:
            >>> Demand.of({"tcp://a:1": {"nthreads": 8, "resources": {"GPU": 1}}, "tcp://b:1": {"nthreads": 8}})
            Demand(resource='GPU')
        """
        declared = {name for worker in workers.values() for name, amount in _resources(worker).items() if amount >= 1}
        return cls(next((name for name in RESOURCES if name in declared), None))

    @property
    def resources(self) -> dict[str, float] | None:
        """As Dask takes it."""
        return {self.resource: 1} if self.resource else None

    def able(self, workers: Workers) -> dict[str, Mapping[str, Any]]:
        """The workers that units may go to. Each runs one at a time, see `tasks.workers.calls.ONE_AT_A_TIME`."""
        if self.resource is None:
            return dict(workers)
        return {name: worker for name, worker in workers.items() if _resources(worker).get(self.resource, 0) >= 1}

    def threads(self, workers: Workers) -> int:
        """CPU threads for a unit: those of the smallest worker, so that a run comes out the same on each.

        Example:
            >>> Demand().threads({"tcp://a:1": {"nthreads": 8}, "tcp://b:1": {"nthreads": 6}})
            6
        """
        return max(1, min((int(worker["nthreads"]) for worker in self.able(workers).values()), default=1))

    def notes(self, workers: Workers, scheduler: str) -> list[str]:
        """What the user of a cluster should know about its workers, one line each."""
        able = self.able(workers)
        if self.resource is None:
            wide = sum(worker["nthreads"] > 1 for worker in workers.values())
            if not wide:
                return []
            start = f'dask worker {scheduler} --resources "MGI=1"'
            said = "have several threads and declare no resource: each computes one unit at a time, but is sent more"
            advice = f"start them with `{start}`, or GPU=1 with a GPU"
            return [f"note: {wide} of {len(workers)} workers {said}; {advice}"]
        idle = len(workers) - len(able)
        if not idle:
            return []
        return [f"note: {idle} of {len(workers)} workers declare no {self.resource}=1 and get no unit"]


def _resources(worker: Mapping[str, Any]) -> Mapping[str, float]:
    return worker.get("resources") or {}
