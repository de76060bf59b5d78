"""A run's work as a flow run: its stages are tasks, a server sees its progress and its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.afterwards import After
from flows.pipeline import Summary
from flows.progress import Observer, shown_observer
from flows.records import stage_noted, still
from flows.settings import Workers
from flows.stages import StageCall
from flows.watching.artifacts import Place
from flows.watching.concluded import concluded
from flows.watching.published import published
from flows.watching.run_artifacts import conclude_run
from tasks.workers.patience import patience, require_address

TAG = "mgi"
"""What flow runs of ours are tagged with, by deployments and by commands; automations tell them by it."""
Where = tuple[Workers, str | None, Observer]


@task(task_run_name="{stage}-{shard}", cache_policy=NO_CACHE, persist_result=False)
def shard_stage(stage: str, shard: int, pair_ids: list[str]) -> int:
    """One stage of one shard of pairs."""
    return stage_noted(stage, shard, pair_ids)


@dataclass(frozen=True)
class Cluster:
    """Where units run: processes here, or a scheduler elsewhere and how long to wait for its workers."""

    workers: Workers = "auto"
    scheduler: str | None = None
    patience: int | None = None

    def at(self, observer: Observer) -> Where:
        """What the pipeline's functions take.

        Raises:
            ConfigError: an impossible address.
        """
        if self.scheduler is not None:
            require_address(self.scheduler)
        if self.patience is not None:
            patience.set(self.patience)
        return self.workers, self.scheduler, observer


def carried_out(
    run: str, cluster: Cluster, work: Callable[[Where, StageCall], Summary], after: After | None = None
) -> State[dict[str, Any]]:
    """Do the work of a flow on a run, show it at the server, and name the state that it ends in.

    Args:
        run: the run's folder or address.
        cluster: where units run.
        work: one of `flows.pipeline`, with what runs stages and who watches.
        after: what is done with the run at its end.
    """
    place, log, then = Place.of(run), get_run_logger(), after or After()
    with published(place, shown_observer(), log) as observer:

        def whole() -> Summary:
            then.check(run)
            return work(cluster.at(observer), still(shard_stage))

        return concluded(whole, partial(conclude_run, place), lambda summary: then.do(summary, log.info))
