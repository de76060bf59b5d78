"""Layers of the Swapping Autoencoder: equalised convolutions, blurs, and convolutions that a texture modulates.

Names of parameters are those of the public code (taesungp), so its checkpoints are read as they are.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.equalised import EqualisedConv, EqualisedLinear

GAIN, SLOPE, EPSILON = math.sqrt(2.0), 0.2, 1e-8


def unit(x: Tensor) -> Tensor:
    """Vectors along axis 1, divided by their lengths."""
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + EPSILON)


class Activation(nn.Module):
    """Bias, leaky ReLU, and a gain that keeps the variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        return F.leaky_relu(x + self.bias[:, None, None], SLOPE) * GAIN


class Blur(nn.Module):
    """A separable filter on every channel.

    Args:
        filter: one side's weights, before they are scaled to a sum of `gain`.
        pad: pixels added to left and top, and to right and bottom.
        mirrored: what is added mirrors the picture; else zeros.
    """

    kernel: Tensor

    def __init__(self, filter: tuple[int, ...], pad: tuple[int, int], mirrored: bool, gain: float = 1.0) -> None:
        super().__init__()
        side = torch.tensor(filter, dtype=torch.float32)
        self.register_buffer("kernel", gain * torch.outer(side, side) / side.sum() ** 2)
        self._pad, self._mode = (*pad, *pad), "reflect" if mirrored else "constant"

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h', w']."""
        x = F.pad(x, self._pad, self._mode)
        channels = x.shape[1]
        return F.conv2d(x, self.kernel.expand(channels, 1, -1, -1), groups=channels)


def convolution(
    inputs: int,
    outputs: int,
    side: int,
    down: tuple[int, ...] = (),
    activate: bool = True,
    bias: bool = True,
    mirrored: bool = False,
    padded: bool = True,
) -> nn.Sequential:
    """A convolution with what belongs to it.

    Args:
        down: filter before a stride of 2; empty: the size stays, (1,): a stride without filter and padding.
        activate: bias, leaky ReLU and gain come after it.
        bias: without `activate`: whether the convolution has one.
        mirrored: its padding mirrors the picture; else zeros.
        padded: whether it is padded where it keeps the size.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if len(down) > 1:
        pad = len(down) - 2 + side - 1
        layers["Blur"] = Blur(down, ((pad + 1) // 2, pad // 2), mirrored)
    elif down:
        layers["Blur"] = Blur(down, (0, 0), mirrored)
    elif side > 1 and padded:
        layers["RefPad"] = nn.ReflectionPad2d(side // 2) if mirrored else nn.ZeroPad2d(side // 2)
    layers["Conv"] = EqualisedConv(inputs, outputs, side, 2 if down else 1, bias=bias and not activate)
    if activate:
        layers["Act"] = Activation(outputs)
    return nn.Sequential(layers)


class Residual(nn.Module):
    """Residual block of two convolutions; divided by the square root of 2.

    Args:
        inputs, outputs: channels.
        down: filter before the size is halved; empty: it stays.
        mirrored: padding of the two convolutions; the shortcut's is zeros.
    """

    def __init__(self, inputs: int, outputs: int, down: tuple[int, ...], mirrored: bool = False) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, inputs, 3, mirrored=mirrored)
        self.conv2 = convolution(inputs, outputs, 3, down, mirrored=mirrored)
        self.skip = convolution(inputs, outputs, 1, down, activate=False, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, h, w] -> [B, O, h, w], or half as large."""
        found: Tensor = (self.conv2(self.conv1(x)) + self.skip(x)) / GAIN
        return found


class Modulated(nn.Module):
    """A convolution of features that were scaled by the texture; weights and styles are demodulated one by one."""

    def __init__(self, inputs: int, outputs: int, side: int, textures: int, up: bool, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, side, side))
        self.modulation = EqualisedLinear(textures, inputs, 1.0)
        self._up, self._demodulate = up, demodulate
        if up:
            self.blur = Blur((1, 3, 3, 1), (1, 1), False, 4.0)

    def forward(self, x: Tensor, texture: Tensor) -> Tensor:
        """[B, I, h, w] and [B, T] -> [B, O, h, w], or twice as large."""
        style = self.modulation(texture)
        weight = self.weight[0] / math.sqrt(self.weight[0, 0].numel())
        if self._demodulate:
            style = style * torch.rsqrt(style.square().mean(1, keepdim=True) + EPSILON)
            weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + EPSILON)
        x = x * style[:, :, None, None]
        if self._up:
            found: Tensor = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
            return found
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


class Noise(nn.Module):
    """Adds noise of a learnt strength, one map for all channels of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, random: torch.Generator | None) -> Tensor:
        """[B, C, h, w], with a map for every picture; None: no noise."""
        if random is None:
            return x
        noise = torch.randn(len(x), 1, *x.shape[2:], generator=random)
        return x + self.weight * noise.to(x)


class Styled(nn.Module):
    """Modulated convolution, noise, bias and activation."""

    def __init__(self, inputs: int, outputs: int, textures: int, up: bool = False) -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, 3, textures, up)
        self.noise = Noise()
        self.activate = Activation(outputs)

    def forward(self, x: Tensor, texture: Tensor, random: torch.Generator | None) -> Tensor:
        """[B, I, h, w] -> [B, O, h, w], or twice as large."""
        found: Tensor = self.activate(self.noise(self.conv(x, texture), random))
        return found
