"""One command at work on one run: its store, its workers, what it shows and what it writes down."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from flows.log import run_log
from flows.progress import Observer
from flows.settings import Workers
from tasks.method import layout_of
from tasks.unit import INVERT, Job, OpenRun, Outcome, lane_key
from tasks.workers.cluster import Lost, Pool, open_pool
from tasks.workers.sizing import default_workers

Unit = Callable[..., list[Outcome]]
OnLost = Callable[[tuple[Any, ...], str], list[Outcome]]


class Session:
    """What the stages of a run share while one process works on it.

    The pool is opened by the first unit that needs it: a run with nothing left to do starts no worker and loads no
    network.
    """

    def __init__(self, job: Job, observer: Observer, log: Any, workers: Workers, scheduler: str | None) -> None:
        self.job, self.observer, self.log = job, observer, log
        self.run: OpenRun = job.open()
        self.computed: Counter[str] = Counter()
        self._workers, self._scheduler = workers, scheduler
        self._quarantined: set[str] = set(self.run.store.quarantined())
        self._stack = ExitStack()
        self._pool: Pool | None = None

    @property
    def pool(self) -> Pool:
        """Where units run."""
        if self._pool is None:
            opened = open_pool(count_workers(self._workers), self._scheduler, self._beat)
            self._pool = self._stack.enter_context(opened)
        return self._pool

    def schedule(self) -> tuple[int, list[list[str]]]:
        """How many pairs the method inverts at once on this pool's devices, and which hypotheses together."""
        layout = self.pool.call(layout_of, self.run.config.model_dump_json(), self.job.threads)
        return max(1, int(layout["lanes"])), layout["groups"]

    def close(self) -> None:
        """Stop the workers, if any were started."""
        self._stack.close()

    def alive(self, pair_ids: Sequence[str]) -> list[str]:
        """Those pairs that are not in quarantine."""
        return [pair_id for pair_id in pair_ids if pair_id not in self._quarantined]

    def work(self, unit: Unit, calls: Sequence[tuple[Any, ...]], lost: OnLost) -> Iterator[Outcome]:
        """Run `unit(job, *call)` for every call and record each outcome as it arrives.

        Args:
            unit: a unit function of `tasks`.
            calls: arguments after the job.
            lost: makes outcomes for a call whose workers died.
        """
        if not calls:
            return
        for position, result in self.pool.run(unit, [(self.job, *call) for call in calls]):
            outcomes = lost(calls[position], result.reason) if isinstance(result, Lost) else result
            for outcome in outcomes:
                self._record(outcome)
                yield outcome

    def quarantine(self, outcome: Outcome) -> None:
        """Take a pair out of the run; the others go on."""
        reason = outcome.failed or "unknown"
        self.run.store.quarantine(outcome.pair_id, outcome.stage, reason)
        self._quarantined.add(outcome.pair_id)
        self.log.info("quarantined", pair=outcome.pair_id, stage=outcome.stage, reason=reason)

    def release_quarantined(self) -> None:
        """Take every quarantined pair back; lanes that failed are forgotten, so that they are tried again."""
        for pair_id in sorted(self._quarantined):
            for hypothesis in self.run.config.inversion.all_hypotheses():
                key = lane_key(pair_id, hypothesis.id)
                if (self.run.store.done(INVERT, key) or {}).get("failed"):
                    self.run.store.forget(INVERT, key)
            self.run.store.release(pair_id)
            self.log.info("released", pair=pair_id)
        self._quarantined.clear()

    def readmit(self, pair_ids: Sequence[str]) -> None:
        """Take pairs for whole again whose quarantine has been lifted."""
        self._quarantined.difference_update(pair_ids)

    def _record(self, outcome: Outcome) -> None:
        if not outcome.skipped:
            self.computed[outcome.stage] += 1
            self.log.info(
                "unit", stage=outcome.stage, key=outcome.key, seconds=round(outcome.seconds, 3), failed=outcome.failed
            )

    def _beat(self, stage: str, key: str, fraction: float, loss: float) -> None:
        self.observer.beat(stage, key, fraction, loss)


def count_workers(workers: Workers) -> int:
    """Worker processes that `workers` means on this machine. "auto" looks for GPUs, which takes PyTorch's import."""
    return default_workers() if workers == "auto" else workers


_current: ContextVar[Session] = ContextVar("session")


def current_session() -> Session:
    """The session of the run that this context works on; Prefect tasks reach it this way, since it cannot travel."""
    return _current.get()


@contextmanager
def open_session(job: Job, observer: Observer, workers: Workers, scheduler: str | None) -> Iterator[Session]:
    """A session for the run of `job`, which only one process at a time may have.

    Raises:
        storage.run_store.RunLocked: another process works on this run.
    """
    store = job.open().store
    with store.lock(), run_log(job.run) as log:
        lost = store.recheck()
        if lost:
            log.warning("lost with the machine's last stop, done again", units=lost)
        session = Session(job, observer, log, workers, scheduler)
        token, start = _current.set(session), time.perf_counter()
        log.info("started", digest=job.digest, workers=workers, scheduler=scheduler, threads=job.threads)
        try:
            yield session
            log.info("finished", seconds=round(time.perf_counter() - start, 3), computed=dict(session.computed))
        except BaseException as error:
            log.error("stopped", error=f"{type(error).__name__}: {error}", computed=dict(session.computed))
            raise
        finally:
            _current.reset(token)
            session.close()
