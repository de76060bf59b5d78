"""What `mgi train` shows: bars on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Eta

from flows.cli.common import err
from flows.progress import rough_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_PERIOD = 30.0
"""Seconds between two lines if there is no terminal."""


class TrainingBars:
    """Progress on a terminal; elsewhere a line now and then."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._lines = not err.is_terminal and not err.quiet
        self._tasks: dict[str, TaskID] = {}
        self._first: dict[str, tuple[float, int]] = {}
        self._next_line = 0.0

    def decoded(self, done: int, total: int) -> None:
        """So many pictures are read."""
        self._show("decode", done, total, "images")

    def learnt(self, phase: str, done: int, total: int, text: str) -> None:
        """So much of a phase is done."""
        self._show(phase, done, total, text)
        now = time.monotonic()
        start, before = self._first.setdefault(phase, (now, done))
        if self._lines and now >= self._next_line:
            self._next_line = now + LINE_PERIOD
            said = f", {text}" if text else ""
            if done > before:
                said += f", about {rough_duration((total - done) * (now - start) / (done - before))} to go"
            self.say(f"{phase}: {done} of {total}{said}")

    def say(self, text: str) -> None:
        """A line beside the bars."""
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, name: str, done: int, total: int, text: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self.progress.add_task(name, total=total, text=text)
        self.progress.update(self._tasks[name], completed=done, text=text)


@contextmanager
def shown() -> Iterator[TrainingBars]:
    """The bars of one training."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"))
    with Progress(
        *columns, TimeElapsedColumn(), TextColumn("ETA"), Eta(), console=err, disable=not err.is_terminal or err.quiet
    ) as progress:
        yield TrainingBars(progress)
