"""What every trainable twin of a pretrained generator offers, and the least squares that image heads are fitted by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

State = dict[str, Tensor]
Said = Callable[[int, int], None]
"""Gets told how many pictures of the parent are done, of how many."""
FROZEN = ("mapping", "input", "stem", "depthwise", "styles", "pointwise")
"""What `freeze` can name. `input`: the constant; `stem`: the first convolution; `styles`: what reads w. Parts that an
architecture does not have are frozen in vain."""
FITTED_ON = 64
"""Pictures of the parent that the image head is fitted to: 260,000 positions at 128 x 128 for 513 unknowns."""
MEAN_OF = 1024
"""Codes that the mean w is of."""


class Exported(NamedTuple):
    """A generator as tensors in a public layout, what its file says of the architecture, what to write in 8 bits."""

    tensors: State
    card: dict[str, str]
    coarse: list[str]


class Adapted(nn.Module, ABC):
    """A generator that continues a parent: z [B, D] ~ N(0, 1) -> images [B, 3, R, R], aimed at [-1, 1]."""

    kind: ClassVar[str]
    """What a card calls it."""
    truncates: ClassVar[bool] = True
    """Whether a pass takes `truncation`."""
    z_dim: int
    resolution: int

    @abstractmethod
    def features(self, z: Tensor) -> list[Tensor]:
        """z [B, D] -> what the last convolution of every resolution from 8 x 8 on makes, [B, C, h, w] each."""

    @abstractmethod
    def exported(self) -> Exported:
        """As a file that `mgi.generators.load_file` reads."""

    @abstractmethod
    def part(self, name: str) -> str:
        """Which of `FROZEN` a parameter belongs to, or another word."""

    @abstractmethod
    def rows(self, name: str) -> float:
        """Rows of the features that a parameter makes; infinite for the image head and the mapping."""

    def freeze(self, parts: Sequence[str], below: int = 0) -> None:
        """Stop the training of some parameters.

        Args:
            parts: from `FROZEN`.
            below: all of the layers at fewer rows than this (Mo et al. 2020, "Freeze the discriminator", seen from the
                generator's side); 0: of none.
        """
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self.part(name) not in parts and not self.rows(name) < below)


def fitted(pairs: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The linear map that takes features to targets best, over all positions: weight [O, C] and bias [O].

    Args:
        pairs: features [B, C, h, w] and targets [B, O, h, w], batch by batch.
    """
    square = product = None
    for features, targets in pairs:
        x = _positions(features)
        x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
        y = _positions(targets)
        square = x.t() @ x if square is None else square + x.t() @ x
        product = x.t() @ y if product is None else product + x.t() @ y
    assert square is not None and product is not None
    ridge = 1e-6 * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    solution = torch.linalg.solve(square + ridge, product).float()
    return solution[:-1].t().contiguous(), solution[-1].contiguous()


def batches_of_codes(z_dim: int, pictures: int, batch: int, said: Said | None = None) -> Iterable[Tensor]:
    """Codes z [b, D], the same ones for every generator; `said` hears of those that were used."""
    random = torch.Generator().manual_seed(0)
    for start in range(0, pictures, batch):
        yield torch.randn(min(batch, pictures - start), z_dim, generator=random)
        if said is not None:
            said(min(start + batch, pictures), pictures)


def require_size(resolution: int, sizes: Sequence[int]) -> None:
    """Raises ValueError if a parent with these sizes has no pictures of that resolution."""
    if resolution not in sizes:
        raise ValueError(f"it has {', '.join(map(str, sizes))}, asked for {resolution}; use one of those")


def _positions(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).double().cpu()
