"""Layers whose weights are stored with unit variance and scaled as they are used (Karras et al. 2018, section 4.1)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EqualisedLinear(nn.Module):
    """[B, I] -> [B, O]; the bias starts at a number."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output."""
        return F.linear(x, self.weight / math.sqrt(self.weight.shape[1]), self.bias)


class EqualisedConv(nn.Module):
    """[B, I, h, w] -> [B, O, h', w']."""

    def __init__(
        self, inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self._stride, self._padding, self._scale = stride, padding, 1 / math.sqrt(inputs * side**2)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output."""
        return F.conv2d(x, self.weight * self._scale, self.bias, self._stride, self._padding)
