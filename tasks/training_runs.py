"""What training runs share: the same settings when they go on, and their checkpoints."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, Protocol

import torch

from mgi.training import TrainingError
from storage.training_store import TrainingConflict, TrainingStore


class Continues(Protocol):
    """A trainer that continues from a state."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state()` of another one said."""


class Watcher(Protocol):
    """Gets told what a training does."""

    def decoded(self, done: int, total: int) -> None:
        """Images read so far."""

    def learnt(self, phase: str, done: int, total: int, text: str) -> None:
        """So much of a phase is done."""

    def say(self, text: str) -> None:
        """Something worth a line."""


def check_startable(store: TrainingStore, resume: bool, new: dict[str, Any], out: Path) -> None:
    """Raise TrainingConflict if a run is there that nobody asked to continue, or was started with other settings."""
    if store.exists and not resume:
        raise TrainingConflict(f"{store.folder} holds a training run; continue it with --resume, or use another folder")
    if not resume:
        return
    old = store.header()["config"]
    different = [f"{key}: {value} -> {new.get(key)}" for key, value in old.items() if new.get(key) != value]
    if different:
        raise TrainingConflict(f"{out} was started with other settings ({'; '.join(different)}); use those")


def write_state(store: TrainingStore, state: dict[str, Any]) -> None:
    """Replace the checkpoint, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    store.write_checkpoint(buffer.getvalue())


def continued(store: TrainingStore, trainer: Continues) -> dict[str, float]:
    """Bring a trainer to the newest checkpoint, if there is one; returns the best evaluation so far, or nothing.

    Raises:
        TrainingError: the checkpoint is damaged, or another training's.
    """
    state = _read_state(store)
    if state is None:
        return {}
    trainer.load_state(state)
    return dict(state.get("best", {}))


def enough(store: TrainingStore, done: int, steps: int) -> bool:
    """Whether a run has all the steps that it is asked for.

    Raises:
        TrainingConflict: it has, but stopped before its first score, so there is no model.
    """
    if done >= steps and store.metrics().empty:
        raise TrainingConflict(
            f"{store.folder} is at step {done} and has no score yet; use --steps of more than {done}"
        )
    return done >= steps


def _read_state(store: TrainingStore) -> dict[str, Any] | None:
    """The newest checkpoint; None before the first.

    Raises:
        TrainingError: it is damaged, or something else.
    """
    path = store.checkpoint()
    if path is None:
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        raise TrainingError(f"{path} is damaged; remove it to train from the start") from None
    if not isinstance(state, dict):
        raise TrainingError(f"{path} is no training state of mgi; remove it to train from the start")
    return state
