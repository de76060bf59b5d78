"""Progress of what counts its own steps, such as a copy, as a stage that an observer shows."""

from __future__ import annotations

from collections.abc import Callable

from flows.progress import Observer


def counted(observer: Observer, stage: str, unit: str) -> Callable[[int, int], None]:
    """What takes (done, total) and shows it as a stage that begins with the first call."""
    begun: list[int] = []

    def progress(done: int, total: int) -> None:
        if not begun:
            observer.begin(stage, unit, total, 0)
            begun.append(total)
        observer.finish(stage, str(done), None)

    return progress
