"""What the trainings of encoders and fusions share: batches, losses, optimisers, and whose state a checkpoint is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mgi.encoders.codes import CoarseRead
from mgi.generators import Generator, is_tapped
from mgi.statistics import shipped
from mgi.statistics.latents import read_latents
from mgi.training.encoders.config import EncoderConfig
from mgi.training.errors import TrainingError
from mgi.training.ranger import Ranger


@dataclass(frozen=True)
class Batch:
    """Pictures float [B, 3, s, s] in [-1, 1] of one step.

    Args:
        known: samples of the generator, with coordinates [B, rows, K].
        whole: what those samples look like undamaged; None: as they are seen.
        real: pictures of the source domain without latents.
        target: pictures of the target domain.
    """

    known: tuple[Tensor, Tensor] | None = None
    whole: Tensor | None = None
    real: Tensor | None = None
    target: Tensor | None = None


@dataclass(frozen=True)
class EncoderLosses:
    """One step's numbers by name."""

    values: dict[str, float]

    @property
    def finite(self) -> bool:
        """Whether training is still alive."""
        return all(math.isfinite(value) for value in self.values.values())


def new_optimizer(config: EncoderConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The configured optimiser of groups of parameters."""
    make = Ranger if config.optimizer == "ranger" else torch.optim.Adam
    return make(groups, config.learning_rate)


def coarse_head(config: EncoderConfig, generator: Generator, device: torch.device) -> CoarseRead | None:
    """The generator's coarse head, if it is asked for, one ships, and it reads images that are large enough."""
    file = shipped(config.generator) if config.coarse and is_tapped(generator) else None
    head = read_latents(file)[1].to(device) if file is not None else None
    return head if head is not None and 2 * generator.layer_size(head.layer) >= config.size else None


def check_state(state: dict[str, Any], kind: str, config: EncoderConfig) -> None:
    """Raises TrainingError: the state is another training's, or something else."""
    if state.get("format") != kind or state.get("digest") != config.digest():
        raise TrainingError("the checkpoint is not of this training; give the folder and settings that it began with")
