"""What the user sees while a run works: a bar per stage with its ETA, or plain lines if there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Eta

from mgi.progress import CoarseLoss

LINE_PERIOD = 10.0
"""Seconds between two lines of the same stage if there is no terminal."""


INVERTED = {"warp": "observe", "pairs": "pictures"}
"""What stages and units are called where pictures are inverted, which nothing warps."""


class Observer(Protocol):
    """Gets told what a run does."""

    def begin(self, stage: str, unit: str, total: int, done: int) -> None:
        """A stage has `total` units, such as "pairs"; `done` of them were done before."""

    def beat(self, stage: str, key: str, fraction: float, loss: float = 0.0) -> None:
        """A running unit has got this far, at this loss (0: it has none); may come from another thread."""

    def finish(self, stage: str, key: str, failed: str | None) -> None:
        """A unit ended."""

    def drop(self, stage: str, units: int) -> None:
        """So many units will not be done: their pair is in quarantine."""

    def say(self, text: str) -> None:
        """Something worth a line."""


class Named:
    """An observer to whom stages have other names, and units other words.

    Args:
        inner: who is told.
        names: {stage or unit: what it is called instead}.
    """

    def __init__(self, inner: Observer, names: Mapping[str, str]) -> None:
        self._inner, self._names = inner, names

    def begin(self, stage: str, unit: str, total: int, done: int) -> None:
        """As `Observer.begin`."""
        self._inner.begin(self._name(stage), self._name(unit), total, done)

    def beat(self, stage: str, key: str, fraction: float, loss: float = 0.0) -> None:
        """As `Observer.beat`."""
        self._inner.beat(self._name(stage), key, fraction, loss)

    def finish(self, stage: str, key: str, failed: str | None) -> None:
        """As `Observer.finish`."""
        self._inner.finish(self._name(stage), key, failed)

    def drop(self, stage: str, units: int) -> None:
        """As `Observer.drop`."""
        self._inner.drop(self._name(stage), units)

    def say(self, text: str) -> None:
        """As `Observer.say`."""
        self._inner.say(text)

    def _name(self, word: str) -> str:
        return self._names.get(word, word)


class Silent:
    """Shows nothing: for tests and for runs under a Prefect server, which has its own page."""

    def begin(self, stage: str, unit: str, total: int, done: int) -> None:
        """Not shown."""

    def beat(self, stage: str, key: str, fraction: float, loss: float = 0.0) -> None:
        """Not shown."""

    def finish(self, stage: str, key: str, failed: str | None) -> None:
        """Not shown."""

    def drop(self, stage: str, units: int) -> None:
        """Not shown."""

    def say(self, text: str) -> None:
        """Not shown."""


class Count:
    """Units of one stage: those that are done, those that failed, and the fractions of those that run."""

    def __init__(self, unit: str, total: int, done: int) -> None:
        self.unit, self.total, self.done, self.failed = unit, total, done, 0
        self._running: dict[str, float] = {}

    def beat(self, key: str, fraction: float) -> None:
        """A unit has got this far."""
        self._running[key] = fraction

    def finish(self, key: str, failed: bool = False) -> None:
        """A unit ended, well or not."""
        self._running.pop(key, None)
        if failed:
            self.failed += 1
        else:
            self.done += 1

    def drop(self, units: int) -> None:
        """So many units will not be done."""
        self.total = max(self.total - units, self.done + self.failed)

    @property
    def complete(self) -> bool:
        """Nothing is left."""
        return self.done + self.failed >= self.total

    @property
    def value(self) -> float:
        """Units that are done plus fractions of running ones."""
        return min(self.done + sum(tuple(self._running.values())), self.total)

    @property
    def ended(self) -> float:
        """`value`, and those that failed: how full a bar is."""
        return min(self.value + self.failed, self.total)


class Bars:
    """A rich progress bar per stage."""

    def __init__(self, console: Console) -> None:
        # Lanes take minutes: the ETA must average over more than rich's 30 seconds.
        self.progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]:<10}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            Eta(),
            TextColumn("{task.fields[loss]}"),
            console=console,
            speed_estimate_period=900,
        )
        self._counts: dict[str, Count] = {}
        self._tasks: dict[str, TaskID] = {}

    def begin(self, stage: str, unit: str, total: int, done: int) -> None:
        """Add a bar; a stage that begins again, as in an evaluation's next row, has its own anew."""
        self._counts[stage] = Count(unit, total, done)
        if (task := self._tasks.get(stage)) is not None:
            self.progress.reset(task, total=total, completed=done, unit=unit, loss="")
            return
        self._tasks[stage] = self.progress.add_task(stage, total=total, completed=done, unit=unit, loss="")

    def beat(self, stage: str, key: str, fraction: float, loss: float = 0.0) -> None:
        """Move the bar by less than a unit."""
        self._counts[stage].beat(key, fraction)
        if loss:
            self.progress.update(self._tasks[stage], loss=_loss(loss))
        self._show(stage)

    def finish(self, stage: str, key: str, failed: str | None) -> None:
        """Move the bar by what was left of the unit; a failure is a line of its own."""
        self._counts[stage].finish(key, bool(failed))
        self._show(stage)
        if failed:
            self.say(f"{stage} {key}: {failed}")

    def drop(self, stage: str, units: int) -> None:
        """Shorten the bar."""
        if stage in self._counts:
            self._counts[stage].drop(units)
            self.progress.update(self._tasks[stage], total=self._counts[stage].total)
            self._show(stage)

    def say(self, text: str) -> None:
        """Print above the bars."""
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, stage: str) -> None:
        count = self._counts[stage]
        unit = f"{count.unit}, {count.failed} failed" if count.failed else count.unit
        self.progress.update(self._tasks[stage], completed=count.ended, unit=unit)


class Lines:
    """Plain lines, few enough for the log of a scheduled run."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._counts: dict[str, Count] = {}
        self._began: dict[str, tuple[float, float]] = {}
        self._next: dict[str, float] = {}
        self._loss: dict[str, float] = {}

    def begin(self, stage: str, unit: str, total: int, done: int) -> None:
        """Count from here; the first line comes when there is something to say.

        A stage may begin again: an evaluation runs its rows one after the other.
        """
        self._counts[stage] = Count(unit, total, done)
        for of_before in (self._began, self._next, self._loss):
            of_before.pop(stage, None)

    def beat(self, stage: str, key: str, fraction: float, loss: float = 0.0) -> None:
        """Write a line if the last one is old enough."""
        self._counts[stage].beat(key, fraction)
        self._loss[stage] = loss
        self._show(stage)

    def finish(self, stage: str, key: str, failed: str | None) -> None:
        """Write a line if the last one is old enough, or the stage is complete; a failure at once."""
        self._counts[stage].finish(key, bool(failed))
        if failed:
            self.say(f"{stage} {key}: {failed}")
        self._show(stage)

    def drop(self, stage: str, units: int) -> None:
        """Count fewer; a stage that is over by that says so."""
        if (count := self._counts.get(stage)) is not None:
            before = count.complete
            count.drop(units)
            if count.complete and not before and count.total:
                self._show(stage)

    def say(self, text: str) -> None:
        """Write it at once."""
        self._write(text)

    def _show(self, stage: str) -> None:
        count, now = self._counts[stage], time.monotonic()
        start, before = self._began.setdefault(stage, (now, count.value))
        complete = count.complete
        if now < self._next.setdefault(stage, now + LINE_PERIOD) and not complete:
            return
        self._next[stage] = now + LINE_PERIOD
        rate = (count.value - before) / (now - start) if now > start else 0.0
        eta = f", about {rough_duration((count.total - count.value) / rate)} to go" if rate and not complete else ""
        loss = f", {_loss(self._loss[stage])}" if self._loss.get(stage) and not complete else ""
        counted = f"{stage}: {count.value:.1f} of {count.total} {count.unit}".replace(".0 of", " of")
        failed = f", {count.failed} failed" if count.failed else ""
        self.say(counted + failed + eta + loss)


def _loss(loss: float) -> str:
    """In words; the jump to the loss of full pictures is none of the method's."""
    return f"loss {loss:.4g}{' (coarse head)' if isinstance(loss, CoarseLoss) else ''}"


def rough_duration(seconds: float) -> str:
    """42 s, 12 min or 3.5 h: what is left, which nobody knows to the second."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


_current: ContextVar[Observer | None] = ContextVar("observer", default=None)


def shown_observer() -> Observer | None:
    """The observer of the running command, if there is one; a Prefect flow cannot be given it in another way."""
    return _current.get()


@contextmanager
def show_progress(console: Console) -> Iterator[Observer]:
    """Bars on a terminal, lines elsewhere; nothing on a console that is quiet."""
    if console.quiet:
        with _shown(Silent()) as silent:
            yield silent
        return
    if not console.is_terminal:
        with _shown(Lines(lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True))) as lines:
            yield lines
        return
    bars = Bars(console)
    with bars.progress, _shown(bars):
        yield bars


@contextmanager
def _shown(observer: Observer) -> Iterator[Observer]:
    token = _current.set(observer)
    try:
        yield observer
    finally:
        _current.reset(token)
