"""Ranger: RAdam (Liu et al. 2020) with gradients centred per output, under Lookahead (Zhang et al. 2019).

The optimiser of pSp, e4e, E2Style, HFGI and UDA-inversion, with the public code's values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

BETAS, EPSILON = (0.95, 0.999), 1e-5
EVERY, SHARE = 6, 0.5
"""Lookahead: every sixth step the slow weights go half of the way to the fast ones, which go on from there."""


class Ranger(torch.optim.RAdam):
    """Args: parameters and their learning rate."""

    def __init__(self, parameters: Iterable[Tensor] | Iterable[dict[str, Any]], rate: float) -> None:
        super().__init__(parameters, rate, BETAS, EPSILON)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; gradients are changed by it."""
        assert closure is None
        learnt = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        for parameter in learnt:
            if parameter.ndim > 1:
                parameter.grad -= parameter.grad.mean(dim=tuple(range(1, parameter.ndim)), keepdim=True)
            if "slow" not in self.state[parameter]:
                self._begin(parameter)
        super().step()
        for parameter in learnt:
            state = self.state[parameter]
            if int(state["step"]) % EVERY == 0:
                state["slow"].lerp_(parameter, SHARE)
                parameter.copy_(state["slow"])

    def _begin(self, parameter: Tensor) -> None:
        # What RAdam keeps: it begins only where the state is still empty.
        state = self.state[parameter]
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        state["slow"] = parameter.detach().clone(memory_format=torch.preserve_format)
