"""Layers of CoCosNet: normalisation that a map modulates (SPADE), residual blocks of it, attention.

Names of parameters are those of the public code (microsoft/CoCosNet), so its checkpoints are read as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
HIDDEN = 128
"""Channels between a map and the scales that it decides."""
Wrap = Callable[[nn.Module], nn.Module]
"""What is done with the convolutions that are spectrally normalised while they learn; files hold the result."""


def as_is(layer: nn.Module) -> nn.Module:
    """A `Wrap` that does nothing."""
    return layer


def positional_norm(x: Tensor) -> Tensor:
    """[B, C, h, w], every place with mean 0 and deviation 1 over its channels."""
    variance, mean = torch.var_mean(x, 1, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def mirrored(x: Tensor, conv: nn.Module) -> Tensor:
    """A 3 x 3 convolution that sees one more mirrored pixel on each side; a single one is repeated."""
    found: Tensor = conv(F.pad(x, (1, 1, 1, 1), "reflect" if min(x.shape[2:]) > 1 else "replicate"))
    return found


class Spade(nn.Module):
    """Positional normalisation, then scale and bias of every place from a map at the same place.

    Args:
        channels: of the features.
        maps: of the map.
        hidden: between the map and the scales that it decides.
    """

    def __init__(self, channels: int, maps: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Identity(), nn.Conv2d(maps, hidden, 3), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3)

    def forward(self, x: Tensor, map: Tensor) -> Tensor:
        """[B, C, h, w] and a map [B, M, H, W] of any size."""
        hidden = F.relu(mirrored(F.interpolate(map, size=x.shape[2:], mode="nearest"), self.mlp_shared[1]))
        return positional_norm(x) * (1 + mirrored(hidden, self.mlp_gamma)) + mirrored(hidden, self.mlp_beta)


class SpadeBlock(nn.Module):
    """Residual block of two convolutions, each after a `Spade`."""

    def __init__(self, inputs: int, outputs: int, maps: int, hidden: int = HIDDEN, wrap: Wrap = as_is) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0, self.conv_1 = wrap(nn.Conv2d(inputs, middle, 3)), wrap(nn.Conv2d(middle, outputs, 3))
        self.norm_0, self.norm_1 = Spade(inputs, maps, hidden), Spade(middle, maps, hidden)
        self._learnt = inputs != outputs
        if self._learnt:
            self.conv_s = wrap(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = Spade(inputs, maps, hidden)

    def forward(self, x: Tensor, map: Tensor) -> Tensor:
        """[B, I, h, w] -> [B, O, h, w]."""
        skip = self.conv_s(self.norm_s(x, map)) if self._learnt else x
        x = mirrored(F.leaky_relu(self.norm_0(x, map), SLOPE), self.conv_0)
        return skip + mirrored(F.leaky_relu(self.norm_1(x, map), SLOPE), self.conv_1)


class Attention(nn.Module):
    """Every place looks at all cells of 2 x 2 places; a learnt share of what it sees is added."""

    def __init__(self, channels: int, wrap: Wrap = as_is) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.theta = wrap(nn.Conv2d(channels, inner, 1, bias=False))
        self.phi = wrap(nn.Conv2d(channels, inner, 1, bias=False))
        self.g = wrap(nn.Conv2d(channels, channels // 2, 1, bias=False))
        self.o = wrap(nn.Conv2d(channels // 2, channels, 1, bias=False))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w], even sides."""
        query = self.theta(x).flatten(2).transpose(1, 2)
        key, value = (F.max_pool2d(conv(x), 2).flatten(2).transpose(1, 2) for conv in (self.phi, self.g))
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * self.o(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


class Residual(nn.Module):
    """Two convolutions with instance normalisation, one slope for both activations."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 3), nn.Conv2d(channels, channels, 3)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        inner = self.prelu(F.instance_norm(mirrored(x, self.conv1)))
        found: Tensor = self.prelu(x + F.instance_norm(mirrored(inner, self.conv2)))
        return found
