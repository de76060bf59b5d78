"""What training runs share: the same settings when they go on, and their checkpoints."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from mgi.training import TrainingError
from storage.training_store import TrainingConflict, TrainingStore

CHECKPOINT_SECONDS = 120.0
"""At most this much work is lost by a kill."""


def check_same(store: TrainingStore, new: dict[str, Any], out: Path) -> None:
    """Raise TrainingConflict unless the run in `store` was started with these settings."""
    old = store.header()["config"]
    different = [f"{key}: {value} -> {new.get(key)}" for key, value in old.items() if new.get(key) != value]
    if different:
        raise TrainingConflict(f"{out} was started with other settings ({'; '.join(different)}); use those")


def write_state(store: TrainingStore, state: dict[str, Any]) -> None:
    """Replace the checkpoint, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    store.write_checkpoint(buffer.getvalue())


def read_state(store: TrainingStore) -> dict[str, Any] | None:
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
