"""One command at work on one run: its store, its workers, what it shows and what it writes down."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cached_property
from typing import Any

from flows.first_use import learn_descriptor
from flows.log import ended_well, run_log
from flows.progress import INVERTED, Named, Observer
from flows.settings import Workers
from flows.unlogged import log_unlogged
from mgi.config import RunConfig
from storage.blocks.packing import pack
from storage.labels import label
from storage.parts import sweep
from storage.recheck import recheck
from storage.starts import Starts
from tasks.evaluation import decide
from tasks.grow import settle, split_groups
from tasks.method import Layout, layout_of
from tasks.stages.base import Choices, Shard, Stage
from tasks.stages.ledger import Ledger
from tasks.unit import Job, OpenRun, Outcome
from tasks.workers.cluster import open_pool
from tasks.workers.deaths import run_counted
from tasks.workers.pool import Lost, Pool
from tasks.workers.sizing import default_workers


class Session:
    """What the stages of a run share while one process works on it.

    The pool is opened by the first unit that needs it: a run with nothing left to do starts no worker and loads no
    network.
    """

    def __init__(self, job: Job, observer: Observer, log: Any, workers: Workers, scheduler: str | None) -> None:
        self.job, self.observer, self.log = job, observer, log
        self.run: OpenRun = job.open()
        self.ledger = Ledger(self.run)
        self.computed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._workers, self._scheduler = workers, scheduler
        self._quarantined: set[str] = set(self.run.store.quarantined())
        self._starts = Starts(self.run.store.path)
        self._chosen: dict[str, Choices] = {}
        self._stack = ExitStack()
        self._pool: Pool | None = None
        self._died = self._is_warm = False

    @property
    def pool(self) -> Pool:
        """Where units run."""
        if self._pool is None:
            opened = open_pool(count_workers(self._workers), self._scheduler, self.observer.beat, self.observer.say)
            pool = self._stack.enter_context(opened)
            for note in pool.notes:
                self.observer.say(note)
            pool.agree(self._config_json)
            self._pool = pool
        return self._pool

    @property
    def slots(self) -> int:
        """How many units are computed at a time, as far as is known: nobody has been asked before the first unit."""
        return self._pool.slots if self._pool else 1

    @cached_property
    def layout(self) -> Layout:
        """How the method wants to be called on this pool's devices; loads its networks there, once per command."""
        self._warm()
        layout: Layout = self.pool.call(layout_of, self._config_json, self.job.threads)
        return replace(layout, groups=split_groups(layout.groups, self.run.store.header))

    @cached_property
    def _config_json(self) -> str:
        return self.run.config.model_dump_json()

    def _warm(self) -> None:
        """Have the method's networks loaded wherever units will run, once per command."""
        if not self._is_warm:
            learn_descriptor(self.run.config, self.observer)
            self.pool.warm(self._config_json, self.job.threads)
            self._is_warm = True

    @property
    def worked(self) -> bool:
        """Whether any unit was tried, well or not."""
        return bool(self.computed or self.failed)

    def close(self) -> None:
        """Stop the workers, if any were started, and remove what those that died were writing."""
        self._stack.close()
        if self._died:
            sweep(self.run.store.path)

    def alive(self, pair_ids: Iterable[str]) -> list[str]:
        """The pairs that are not in quarantine."""
        return [pair_id for pair_id in pair_ids if pair_id not in self._quarantined]

    def ready(self, stage: Stage, pair_ids: Sequence[str]) -> dict[str, list[str]]:
        """{pair id: keys} of the units of a stage that are left for these pairs and can be computed now."""
        return self.ledger.ready(stage, self.alive(pair_ids))

    def work(self, stage: Stage, pair_ids: Sequence[str]) -> Iterator[Outcome]:
        """Do what is left of a stage for some pairs, and record each outcome as it arrives."""
        left = self.ready(stage, pair_ids)
        if not left:
            return
        if stage.translates:
            self._warm()
        untouched = not self.ledger.done(stage)
        died = self._starts.deaths
        calls = stage.calls(Shard(self.run, left, untouched, lambda: self.layout, self._choices(stage), died))
        for position, result in run_counted(self.pool, self._starts, stage, self.job, calls):
            lost = isinstance(result, Lost)
            self._died = self._died or lost
            for outcome in stage.lost(self.job, calls[position], result.reason) if lost else result:
                self._record(stage, outcome)
                yield outcome

    def _choices(self, stage: Stage) -> Choices:
        """The choices of a stage that chooses for the whole set, made once per command."""
        choose = stage.whole_set(self.run.config)
        if choose is None:
            return {}
        if stage.name not in self._chosen:
            self._chosen[stage.name] = choices = self.pool.call(choose, self.job, self.alive(self.run.pair_ids()))
            for pair_id in self.ledger.done(stage).keys() & choices.keys():  # no unit of theirs would say so
                if reason := choices[pair_id].get("failed"):
                    self.quarantine(Outcome(stage.name, pair_id, pair_id, failed=reason), stage.name)
        return self._chosen[stage.name]

    def pack(self, pair_ids: Sequence[str] | None = None) -> None:
        """Keep what these pairs have in few files, see `storage.blocks`; None: all that is not packed yet."""
        pack(self.run.store, pair_ids)

    def take_back_choices(self) -> None:
        """Choices for the whole set that were made without pairs that are back are made again, for all pairs.

        Such pairs were damaged or in quarantine: others are chosen for already, and they are not scored yet.
        """
        ids = self.run.pair_ids()
        for stage in self.ledger.stages:
            if stage.whole_set(self.run.config) is not None and self.ledger.done(stage):
                back = self.ledger.left(stage, self.alive(ids))
                if len(self.ready(stage, list(back))) < len(back):
                    self.ledger.forget(ids, stage)

    def quarantine(self, outcome: Outcome, at: str) -> None:
        """Take a pair out of the run, at the stage that runs; the others continue."""
        reason = outcome.failed or "unknown"
        self.run.store.quarantine(outcome.pair_id, outcome.stage, reason)
        self._quarantined.add(outcome.pair_id)
        self.log.info("quarantined", pair=outcome.pair_id, stage=outcome.stage, reason=reason)
        names = [stage.name for stage in self.ledger.stages]
        for stage in self.ledger.stages[names.index(at) + 1 :]:
            total, done = self.ledger.count(stage, [outcome.pair_id])
            self.observer.drop(stage.name, total - done)

    def release_quarantined(self) -> None:
        """Take every quarantined pair back; units that failed are forgotten, so they are tried again."""
        self.ledger.forget_failures(self._quarantined)
        self._starts.forget(list(self._starts.deaths))
        self.run.store.release(self._quarantined)
        for pair_id in sorted(self._quarantined):
            self.log.info("released", pair=pair_id)
        self._quarantined.clear()

    def readmit(self, pair_ids: Sequence[str]) -> None:
        """Treat pairs as whole again whose quarantine has been lifted."""
        self._quarantined.difference_update(pair_ids)

    def _record(self, stage: Stage, outcome: Outcome) -> None:
        self.ledger.note(stage, outcome)
        if not outcome.skipped:
            (self.failed if outcome.failed else self.computed)[stage.name] += 1
            self.log.info(
                "unit", stage=outcome.stage, key=outcome.key, seconds=round(outcome.seconds, 3), failed=outcome.failed
            )


def count_workers(workers: Workers) -> int:
    """How many worker processes `workers` means on this machine. "auto" looks for GPUs, which imports PyTorch."""
    return default_workers() if workers == "auto" else workers


def ask_layout(
    config: RunConfig, threads: int | None, workers: Workers, scheduler: str | None, observer: Observer
) -> tuple[Layout, int | None]:
    """The layout of a configuration's method, where its units will run; for a run that has no session yet.

    Returns:
        The layout, and the CPU threads of a unit: `threads`, or if that is None, those that the workers of a scheduler
        have.
    """
    learn_descriptor(config, observer)
    with open_pool(count_workers(workers), scheduler, observer.beat, observer.say) as pool:
        config_json, threads = config.model_dump_json(), threads or pool.threads
        pool.agree(config_json)
        layout: Layout = pool.call(layout_of, config_json, threads)
        return layout, threads


_current: ContextVar[Session] = ContextVar("session")


def current_session() -> Session:
    """The session of the run that this context works on; Prefect tasks reach it this way, since it cannot travel."""
    return _current.get()


@contextmanager
def open_session(
    job: Job, observer: Observer, workers: Workers, scheduler: str | None, metrics: str | None = None
) -> Iterator[Session]:
    """A session for the run of `job`, which only one process at a time may have.

    Args:
        metrics: what the run measures from now on, see `mgi metrics`; None: as before.

    Raises:
        storage.run_store.RunLocked: another process works on this run.
    """
    store = job.open().store
    with store.lock(), run_log(job.run) as log:
        whole = ended_well(job.run)
        label(store)
        lost = recheck(store)
        if lost:
            log.warning("lost with the machine's last stop, done again", units=lost)
        for change in settle(Ledger(job.open())):
            log.info("grown", what=change["what"], added=change["added"], set=change["set"])
        settled = job.open()
        for note in decide(settled.store, settled.config, metrics):
            observer.say(f"note: {note}")
        shown = Named(observer, INVERTED) if settled.config.task == "invert" else observer
        session = Session(job, shown, log, workers, scheduler)
        token, start = _current.set(session), time.perf_counter()
        log.info("started", digest=job.digest, workers=workers, scheduler=scheduler, threads=job.threads)
        if not whole:
            log_unlogged(session.ledger, log)
        try:
            yield session
            session.pack()
            log.info("finished", seconds=round(time.perf_counter() - start, 3), computed=dict(session.computed))
        except BaseException as error:
            log.error("stopped", error=f"{type(error).__name__}: {error}", computed=dict(session.computed))
            raise
        finally:
            _current.reset(token)
            session.close()
