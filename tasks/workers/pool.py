"""Who runs the units: this process, or the workers of a Dask cluster.

Both are one `Pool`: calls go in, results come out as they finish, and a limited number is in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from tasks.workers.agreement import Packages, packages, require_agreement, weights_of
from tasks.workers.calls import call_all, group_size
from tasks.workers.keys import Keys
from tasks.workers.warming import warmed
from tasks.workers.watch import ClusterError, Watch

if TYPE_CHECKING:
    from distributed import Client

Label = Sequence[str]
"""What a call is called: the stage, then what of it."""


@dataclass(frozen=True)
class Lost:
    """Instead of a result: every worker that tried this call died."""

    reason: str


class Pool(Protocol):
    """Runs functions with small arguments somewhere."""

    threads: int | None
    """CPU threads that a unit gets there; None: whoever opened the pool decides."""
    notes: Sequence[str]
    """What the user should know about it, one line each."""

    @property
    def slots(self) -> int:
        """How many units it computes at a time, at least 1."""

    def agree(self, config_json: str) -> None:
        """Check that its units come out there as they would here. Raises ClusterError: they do not."""

    def warm(self, config_json: str, threads: int | None) -> None:
        """Load the configuration's networks wherever units will run, once. Raises as `tasks.method.layout_of`."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """The function's result; raises what it raises."""

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], labels: Sequence[Label] = ()
    ) -> Iterator[tuple[int, Any]]:
        """(position in `calls`, result or `Lost`) of every call, in the order in which they finish."""


class Sequential:
    """Everything in this process, one call after the other."""

    threads: int | None = None
    notes: Sequence[str] = ()
    slots = 1

    def agree(self, config_json: str) -> None:
        """This process agrees with itself."""

    def warm(self, config_json: str, threads: int | None) -> None:
        """The first unit loads what it needs: nobody waits beside it."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call it here."""
        return function(*args)

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], labels: Sequence[Label] = ()
    ) -> Iterator[tuple[int, Any]]:
        """One call after the other, in their own order."""
        for position, args in enumerate(calls):
            yield position, function(*args)


class DaskPool:
    """Calls as Dask futures; a call whose worker dies is tried again on another worker by the scheduler.

    Args:
        client: connected to the cluster.
        watch: of the same cluster, which has a worker by now.
        remote: whether somebody else started its workers.
        notes: what the user should know.
    """

    def __init__(self, client: Client, watch: Watch, remote: bool = False, notes: Sequence[str] = ()) -> None:
        self._client, self._watch, self._remote, self.notes = client, watch, remote, notes
        self._keys, self._stack = Keys(), ExitStack()
        self._expected: Packages = packages() if remote else ()
        self._warm: set[tuple[str, int | None]] = set()
        self.threads = watch.threads() if remote else None

    @property
    def slots(self) -> int:
        """Worker processes that take units, each of which computes one at a time."""
        return max(1, len(self._watch.able()))

    def agree(self, config_json: str) -> None:
        """Ask the workers of somebody else's scheduler; this command's own are started from its own environment."""
        if self._remote:
            require_agreement(self._client, self._watch.able(), weights_of(config_json), config_json)

    def warm(self, config_json: str, threads: int | None) -> None:
        """All workers load at the same time, those that come later before their first unit."""
        if (config_json, threads) not in self._warm:
            self._warm.add((config_json, threads))
            self._stack.enter_context(warmed(self._client, config_json, threads))

    def close(self) -> None:
        """Leave nothing on a scheduler that goes on living."""
        self._stack.close()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call it on a worker. Raises ClusterError if every worker that tries it dies."""
        ((_, result),) = self.run(function, [args])
        if isinstance(result, Lost):
            raise ClusterError(result.reason)
        return result

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], labels: Sequence[Label] = ()
    ) -> Iterator[tuple[int, Any]]:
        """All calls at once; calls that a dying worker took with it are tried once more, each alone.

        Args:
            function: what to call.
            calls: its arguments.
            labels: what the dashboard shows for each; the function's name if not given.

        Raises:
            ClusterError: the scheduler is gone, or has had no worker for too long.
        """
        named = labels or [(function.__name__,)] * len(calls)
        suspects: list[int] = []
        for position, result in self._attempt(function, dict(enumerate(calls)), named, self._in_flight):
            if isinstance(result, Lost):
                suspects.append(position)
            else:
                yield position, result
        # A dying worker also takes along the calls that travel with the guilty one or wait behind it. Alone, each shows
        # whether it is the cause.
        for position in suspects:
            yield from self._attempt(function, {position: calls[position]}, named, lambda: 1)

    def _attempt(
        self,
        function: Callable[..., Any],
        calls: dict[int, tuple[Any, ...]],
        labels: Sequence[Label],
        in_flight: Callable[[], int],
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
                key = self._keys.key(labels[group[0][0]], len(group) - 1)
                future = self._client.submit(
                    call_all, function, arguments, self._expected, key=key, resources=self._watch.demand.resources
                )
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

    def _in_flight(self) -> int:
        # Two calls in flight per process, so no worker waits for the round trip of its next one; the rest wait on the
        # scheduler. Asked again now and then, because workers come and go; asking is itself a round trip.
        return 2 * self.slots
