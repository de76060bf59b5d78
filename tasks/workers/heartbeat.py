"""The progress of a running unit, from wherever it runs to the code that shows it.

A unit may take minutes, so counting finished units is not enough for a useful ETA. Inside a Dask worker a beat is an
event that the client subscribes to; in the flow's own process it is a call. Beats are only for display: losing one
changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mgi.progress import CoarseLoss

TOPIC = "mgi-heartbeat"
PERIOD = 0.5
"""Seconds between two beats of a unit; optimisation steps are often faster than anyone can read."""

Listener = Callable[[str, str, float, float], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener(stage, key, fraction, loss)` for beats of units that run in this process."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class Heartbeat:
    """Reports the progress of one unit.

    Example:
        >>> seen = []
        >>> with listening(lambda *beat: seen.append(beat)):
        ...     Heartbeat("invert", ["a.L04N10"])(5, 10, 0.25)
        >>> seen
        [('invert', 'a.L04N10', 0.5, 0.25)]
    """

    def __init__(self, stage: str, keys: list[str]) -> None:
        self.stage, self.keys = stage, keys
        self._next = 0.0

    def __call__(self, step: int, steps: int, loss: float = 0.0) -> None:
        """`step` of `steps` are done; the shape of `progress` that methods call."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + PERIOD
        fraction = min(max(step / max(steps, 1), 0.0), 1.0)
        worker = _dask_worker()
        for key in self.keys:
            if worker is not None:
                number = {"loss": float(loss), "coarse": isinstance(loss, CoarseLoss)}
                worker.log_event(TOPIC, {"stage": self.stage, "key": key, "fraction": fraction, **number})
            for listener in _listeners:
                listener(self.stage, key, fraction, loss)


def _dask_worker() -> Any:
    import sys

    if "distributed" not in sys.modules:  # Dask is not loaded, so this is not one of its workers
        return None
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:  # its way of saying "not on a worker"
        return None
