"""What a trained translator is: networks, the players that optimise them, one step, and a picture from a picture.

A system is a file: its configuration with the published defaults, its networks, `learn` (one step, which reads as its
paper does) and `translate`. What draws batches, steps, keeps, scores and writes is the same for all
(`mgi.systems.trainer`, `tasks.train_translator`).

A is what a picture is made from (a picture, or a condition such as edges), B the pictures that are made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from mgi.config.base import Section

Data = Literal["pairs", "two-folders", "domains", "folder"]
"""pairs: A and B of one name belong together; two-folders: they do not; domains: a subfolder per domain, A and B both
drawn from all; folder: B alone."""


class SystemConfig(Section):
    """What all systems have; each adds its own."""

    size: int = Field(64, ge=16, le=1024)
    """Rows and columns of the pictures that it makes."""
    channels: int = Field(3, ge=1, le=256)
    """Channels of A; filled in from what is given."""
    labels: int = Field(0, ge=0, le=256)
    """Classes, if A is a map of labels; 0: A are pictures or numbers. Filled in."""
    domains: tuple[str, ...] = ()
    """Names of the domains; filled in."""
    width: int = Field(64, ge=4, le=512)
    """Channels of the first layer; 64 as published, fewer for a CPU."""
    batch: int = Field(1, ge=1)
    """Pictures per step."""
    learning_rate: float = Field(2e-4, gt=0)
    """Of Adam."""
    beta1: float = Field(0.5, ge=0, lt=1)
    """Decay of Adam's first moment."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """Decay of Adam's second moment."""
    decay_from: float = Field(1.0, ge=0, le=1)
    """Share of the steps after which the learning rate falls linearly, to 0 at the end; 1: never."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay per step of the running average of weights that is kept; 0: the weights themselves are."""
    flip: bool = True
    """Mirror half of the pictures, with their conditions."""
    jitter: bool = False
    """Enlarge by 286 / 256 and cut a random window, as pix2pix and CycleGAN do."""
    windows: float = Field(0.0, ge=0, le=1)
    """Share of pictures of which a random window of 80 to 100 % of the area is enlarged, as StarGAN v2 does."""
    seed: int = Field(0, ge=0)
    """Seed of everything random."""

    @property
    def needs_labels(self) -> bool:
        """Whether A have to be maps of classes."""
        return False

    @property
    def inputs(self) -> int:
        """Channels of A as networks see it."""
        return self.labels or self.channels

    def digest(self, system: str) -> str:
        """sha256 of the canonical JSON; a run resumes only under the digest it was started with."""
        text = json.dumps({"system": system, **self.model_dump(mode="json")}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Args:
        a: [B, C, S, S]; of the data kind `folder` the same as b.
        b: pictures [B, 3, S, S] in [-1, 1]; those of a under `pairs`.
        a_domain, b_domain: [B] long.
        a2, b2: a second draw: another pair under `pairs`, another picture of b's domain under `domains`.
    """

    a: Tensor
    b: Tensor
    a_domain: Tensor
    b_domain: Tensor
    a2: Tensor
    b2: Tensor

    def to(self, device: torch.device) -> Batch:
        """On a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Guide:
    """What steers a translation beside its source; systems use what they know.

    Args:
        picture: the exemplar [B, 3, S, S].
        condition: A of the exemplar [B, C, S, S].
        domain: [B] long, the domain that the result shall be of (the exemplar's).
        backwards: from B to A, where a system goes both ways.
        latent: style from `random` instead of the exemplar, where a system can draw one.
    """

    picture: Tensor | None = None
    condition: Tensor | None = None
    domain: Tensor | None = None
    backwards: bool = False
    latent: bool = False

    def to(self, device: torch.device) -> Guide:
        """On a device."""
        tensors = {name: getattr(self, name) for name in ("picture", "condition", "domain")}
        return replace(self, **{name: x.to(device) for name, x in tensors.items() if x is not None})


@dataclass(frozen=True)
class Player:
    """What one optimiser moves.

    Args:
        networks: whose parameters.
        learning_rate, weight_decay: of them; None is the configuration's learning rate.
        betas: of Adam; None are the configuration's.
        kind: the optimiser.
        epsilon: of Adam.
    """

    networks: Sequence[nn.Module]
    learning_rate: float | None = None
    weight_decay: float = 0.0
    kind: Literal["adam", "sgd", "rmsprop"] = "adam"
    betas: tuple[float, float] | None = None
    epsilon: float = 1e-8


class Step(Protocol):
    """One step of a training, for `System.learn`."""

    number: int
    """Steps done before it."""
    steps: int
    """Steps in all."""
    random: torch.Generator
    """Seeded by the run's seed and the step's number; on the CPU."""

    def update(self, player: str | Sequence[str], terms: Mapping[str, Tensor]) -> None:
        """Move the networks of a player, or of several, against the sum of the terms, which the run also reports."""
        ...


class System(nn.Module):
    """Networks of one system and what is done with them.

    Args:
        config: its own configuration.
        training: False builds only what translates.
    """

    name: ClassVar[str]
    data: ClassVar[Data]
    config_type: ClassVar[type[SystemConfig]] = SystemConfig
    kept: tuple[str, ...]
    """Attributes of the networks that translate, which is what a file holds."""
    classes: ClassVar[bool] = False
    """Whether domains may be named although its data are not of the kind `domains`."""
    guided: bool = False
    """Whether it takes an exemplar."""
    has_truth: bool = False
    """Whether a result should be the picture that B has for its source; then the distance to it is measured, too."""
    judged_by_l1: ClassVar[bool] = False
    """Whether the best snapshot is that with the smallest L1 to B; else that with the smallest Frechet distance."""

    def __init__(self, config: SystemConfig, training: bool = True) -> None:
        super().__init__()
        self.config = config

    @property
    def source_size(self) -> int:
        """Rows of A."""
        return self.config.size

    def sources(self, a: Tensor) -> Tensor:
        """What it translates from, [B, C, s, s] of A [B, C, S, S]; another where it makes its own of B."""
        return a

    def players(self) -> dict[str, Player]:
        """Who learns, by name."""
        raise NotImplementedError

    def learn(self, batch: Batch, step: Step) -> None:
        """One step: an update of every player whose turn it is."""
        raise NotImplementedError

    def rate(self, done: int, steps: int) -> float:
        """Factor of all learning rates after `done` of `steps` steps."""
        start = self.config.decay_from
        return 1.0 if start >= 1 else min(1.0, (1 - done / max(1, steps)) / (1 - start))

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """A [B, C, s, s] -> pictures [B, 3, S, S], about in [-1, 1]. Called without gradients."""
        raise NotImplementedError


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """No gradients of these networks' weights inside: they only judge, and their gradients would cost a third more."""
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
