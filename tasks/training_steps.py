"""The steps of a training, one after another: measured when due, and checkpointed so that a kill costs two minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from storage.training_store import TrainingStore
from tasks.training_runs import Watcher, write_state

CHECKPOINT_SECONDS = 120.0
"""At most this much work is lost by a kill."""
T = TypeVar("T")
Best = dict[str, float]
"""Score and step of the best evaluation so far; empty before the first."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What is asked of every training.

    Args:
        out: folder of the run.
        steps: optimisation steps in all, including those before a resume.
        evaluate_every: steps between two evaluations.
        licence: of the pictures, for the card.
        threads: CPU threads; the bits of a result depend on them.
    """

    out: Path
    steps: int
    evaluate_every: int
    licence: str
    threads: int


class Trains(Protocol):
    """A trainer that knows how far it is."""

    steps_done: int

    def state(self) -> dict[str, Any]:
        """All that is needed to continue."""


def train_steps(
    run: TrainingRun,
    store: TrainingStore,
    trainer: Trains,
    batch: int,
    best: Best,
    watcher: Watcher,
    step: Callable[[], tuple[T, str]],
    evaluate: Callable[[T, Best], Best],
    writes: bool = True,
) -> None:
    """Step until `run.steps` are done.

    Args:
        batch: pictures in a step, for the speed that is shown.
        best: so far; `evaluate` says it anew.
        step: does one; returns what `evaluate` wants of it, and its losses in words.
        evaluate: measures what there is, when it is due.
        writes: False in processes that leave checkpoints to another one.
    """
    started = saved = time.monotonic()
    first = trainer.steps_done

    def save() -> None:
        if writes:
            write_state(store, {**trainer.state(), "best": best})

    try:
        while trainer.steps_done < run.steps:
            result, losses = step()
            done = trainer.steps_done
            rate = (done - first) * batch / max(time.monotonic() - started, 1e-3)
            watcher.learnt("train", done, run.steps, f"{rate:.1f} images/s, {losses}")
            due = done % run.evaluate_every == 0 or done == run.steps
            if due:
                best = evaluate(result, best)
            if due or time.monotonic() - saved > CHECKPOINT_SECONDS:
                save()
                saved = time.monotonic()
    except KeyboardInterrupt:
        save()
        if writes:
            watcher.say(f"checkpoint of step {trainer.steps_done} written; the same command with --resume continues")
        raise
