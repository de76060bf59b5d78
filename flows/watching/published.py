"""A run's progress at a Prefect server, kept up to date while it works: one bar, the picture, and a line per pair.

A thread of its own talks to the server every few seconds. So a slow or dead server neither holds up the work nor ends
it; when it fails once, nothing more is published by this flow run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol, TypeVar
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.progress import Count, Lines, Observer
from flows.session import Session, current_session
from flows.watching.artifacts import Place, show_picture
from tasks.report.preview import preview_path
from tasks.stages.table import last_required

PERIOD = 3.0
"""Seconds between two looks at what has changed."""


class Published:
    """An observer that also tells a Prefect server.

    Args:
        inner: is told all, too.
        log: takes a line per finished pair: the flow run's, which a terminal does not show.
        rows: how many runs the work consists of, such as the rows of an evaluation; each is an equal part of the bar.
    """

    def __init__(self, inner: Observer, log: Callable[[str], None], rows: int = 1) -> None:
        self._inner, self._log, self._rows = inner, log, max(rows, 1)
        self._counts: dict[str, Count] = {}
        self._row, self._beginning = 0, True
        self.picture: Path | None = None
        self.says = "Source, exemplar, warp and a first hypothesis"

    def begin(self, stage: str, unit: str, total: int, done: int) -> None:
        """Add a stage; the first one after others have worked begins the next row."""
        if not self._beginning and self._counts:
            self._row, self._counts = min(self._row + 1, self._rows - 1), {}
        self._beginning = True
        self._counts[stage] = Count(unit, total, done)
        self._inner.begin(stage, unit, total, done)

    def beat(self, stage: str, key: str, fraction: float, loss: float = 0.0) -> None:
        """Count the part of a unit."""
        self._beginning = False
        if (count := self._counts.get(stage)) is not None:
            count.beat(key, fraction)
        self._inner.beat(stage, key, fraction, loss)

    def finish(self, stage: str, key: str, failed: str | None) -> None:
        """Count a unit, and say so if it completes its pair."""
        self._beginning = False
        if (count := self._counts.get(stage)) is not None:
            count.finish(key, bool(failed))
        self._inner.finish(stage, key, failed)
        session = current_session()
        self.picture = preview_path(session.run.store)
        if not failed and stage == last_required(session.ledger.stages).name:
            self._log(self._pair_line(session, stage, key))

    def drop(self, stage: str, units: int) -> None:
        """Count fewer."""
        if (count := self._counts.get(stage)) is not None:
            count.drop(units)
        self._inner.drop(stage, units)

    def say(self, text: str) -> None:
        """Pass it on."""
        self._inner.say(text)

    @property
    def percent(self) -> float:
        """How much of the work is done, 0 to 100: units of all stages of this row, and the rows before it."""
        counts = list(self._counts.values())
        total = sum(count.total for count in counts)
        part = sum(count.ended for count in counts) / total if total else float(bool(counts))
        return round(100 * (self._row + part) / self._rows, 1)

    @property
    def text(self) -> str:
        """The stages in one line."""
        row = f"row {self._row + 1} of {self._rows}: " if self._rows > 1 else ""
        return row + ", ".join(
            f"{stage} {count.value:.1f} of {count.total} {count.unit}".replace(".0 of", " of")
            + (f" ({count.failed} failed)" if count.failed else "")
            for stage, count in list(self._counts.items())
            if count.total
        )

    def _pair_line(self, session: Session, stage: str, pair_id: str) -> str:
        pair, count = session.run.pair(pair_id), self._counts[stage]
        named = f"{pair.source} by {pair.exemplar}" if pair.exemplar else pair.source
        return f"{named} is done ({pair_id}), {count.done} of {count.total}"


@contextmanager
def published(place: Place, inner: Observer | None, log: Any, rows: int = 1) -> Iterator[Published]:
    """An observer whose progress a Prefect server shows until the end of the block.

    Args:
        place: whose progress it is.
        inner: the terminal's observer, if a person runs the flow; otherwise the flow run's log has a line now and then.
        log: the flow run's logger.
        rows: as of `Published`.
    """
    with kept_up(Published(inner or Lines(log.info), log.info, rows), place, log) as shown:
        yield shown


class Progress(Protocol):
    """What is kept up to date at the server."""

    says: str
    """What the picture shows."""

    @property
    def percent(self) -> float:
        """How much is done, 0 to 100."""

    @property
    def text(self) -> str:
        """The same in words."""

    @property
    def picture(self) -> Path | None:
        """A picture to look at, once there is one."""


Kept = TypeVar("Kept", bound=Progress)


@contextmanager
def kept_up(shown: Kept, place: Place, log: Any) -> Iterator[Kept]:
    """Show progress at the server until the end of the block, and then how it ended."""
    over = Event()
    keeper = Thread(target=copy_context().run, args=(_keep, shown, place, over, log), daemon=True)
    keeper.start()
    try:
        yield shown
    finally:
        over.set()
        keeper.join(timeout=10)


def _keep(shown: Progress, place: Place, over: Event, log: Any) -> None:
    bar: UUID | None = None
    before, seen = ("", -1.0), (Path(), 0.0)
    try:
        while True:
            ended = over.wait(PERIOD)
            now = (shown.text, shown.percent)
            if now[0] and now != before:
                bar, before = _show_bar(place, bar, *now), now
            picture = shown.picture
            if picture is not None and picture.is_file() and (made := (picture, picture.stat().st_mtime)) != seen:
                show_picture(place, "preview", picture, shown.says)
                seen = made
            if ended:
                return
    except Exception as error:
        log.warning(f"progress is no longer published: {type(error).__name__}: {error}")


def _show_bar(place: Place, bar: UUID | None, text: str, percent: float) -> UUID:
    if bar is None:
        made = create_progress_artifact(percent, key=place.key("progress"), description=text)
        return made if isinstance(made, UUID) else UUID(str(made))
    update_progress_artifact(bar, percent, description=text)
    return bar
