"""What one lane optimises: a few named tensors, such as `codes` [N, D], `alpha` [N, C] and `tail` [T, D]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Latents = dict[str, Tensor]
"""Parameter groups of one lane by name, each [rows, columns]; rows may be 0."""
Shapes = Mapping[str, tuple[int, int]]


def pack(latents: Latents) -> Tensor:
    """All groups in order as one float32 row [size]."""
    return torch.cat([t.detach().flatten().float() for t in latents.values()])


def unpack(packed: Tensor, shapes: Shapes) -> Latents:
    """The inverse of `pack`: [size] -> groups."""
    parts = packed.split([rows * columns for rows, columns in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def size_of(shapes: Shapes) -> int:
    """Numbers in one packed lane."""
    return sum(rows * columns for rows, columns in shapes.values())


def detached(latents: Latents) -> Latents:
    """A copy without gradients."""
    return {name: t.detach().clone() for name, t in latents.items()}


def stacked(lanes: Sequence[Latents], name: str) -> Tensor:
    """One group of several lanes, [B, rows, columns]."""
    return torch.stack([latents[name] for latents in lanes])
