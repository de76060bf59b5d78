"""What tests of systems compare with: a step that only looks, and a count of parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class Once:
    """A `mgi.systems.base.Step` that moves nothing and keeps every term."""

    def __init__(self, number: int = 0, steps: int = 100) -> None:
        self.number, self.steps, self.random = number, steps, torch.Generator().manual_seed(0)
        self.seen: dict[str, float] = {}
        self.moved: list[str] = []

    def update(self, player: str, terms: Mapping[str, torch.Tensor]) -> None:
        """Keep them."""
        self.moved.append(player)
        self.seen |= {name: float(term.detach()) for name, term in terms.items()}


def parameters(network: torch.nn.Module) -> int:
    """How many."""
    return sum(parameter.numel() for parameter in network.parameters())
