"""What `mgi train` shows: bars on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Eta

from flows.cli.common import err

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mgi.training import Losses

LINE_PERIOD = 30.0
"""Seconds between two lines if there is no terminal."""


class TrainingBars:
    """Progress on a terminal; elsewhere a line now and then."""

    def __init__(self, progress: Progress, batch: int) -> None:
        self.progress, self.batch = progress, batch
        self._lines = not err.is_terminal and not err.quiet
        self._tasks: dict[str, TaskID] = {}
        self._start: tuple[float, int] | None = None
        self._next_line = 0.0

    def decoded(self, done: int, total: int) -> None:
        """So many pictures are read."""
        self._show("decode", done, total, "images")

    def stepped(self, step: int, steps: int, losses: Losses) -> None:
        """A step of a generator's training is done."""
        now = time.monotonic()
        if self._start is None:
            self._start = now, step - 1
        rate = self.batch * (step - self._start[1]) / max(now - self._start[0], 1.0)
        numbers = f"{rate:.1f} images/s, losses {losses.generator:.2f} / {losses.discriminator:.2f}"
        self._show("train", step, steps, numbers)
        if self._lines and now >= self._next_line:
            self._next_line = now + LINE_PERIOD
            left = (steps - step) * self.batch / rate
            self.say(f"step {step} of {steps}: {numbers}, about {left / 60:.0f} min to go")

    def learnt(self, phase: str, done: int, total: int, text: str) -> None:
        """So much of a phase is done."""
        self._show(phase, done, total, text)
        now = time.monotonic()
        if self._lines and now >= self._next_line:
            self._next_line = now + LINE_PERIOD
            self.say(f"{phase}: {done} of {total}, {text}")

    def say(self, text: str) -> None:
        """A line beside the bars."""
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, name: str, done: int, total: int, text: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self.progress.add_task(name, total=total, text=text)
        self.progress.update(self._tasks[name], completed=done, text=text)


@contextmanager
def shown(batch: int) -> Iterator[TrainingBars]:
    """The bars of one training; `batch` images are one step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"))
    with Progress(
        *columns, TimeElapsedColumn(), TextColumn("ETA"), Eta(), console=err, disable=not err.is_terminal or err.quiet
    ) as progress:
        yield TrainingBars(progress, batch)
