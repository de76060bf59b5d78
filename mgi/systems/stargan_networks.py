"""The networks of StarGAN v2 (Choi et al. 2020); parameters are named as in the public code.

Everything that knows domains has a branch for each, and gives back that of the domain asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.systems.layers import SLOPE, kaiming_weights

WIDEST = 8
"""Largest multiple of the channels that 256 pixels begin with."""
STYLE, LATENT = 64, 16
MASKED = (32, 64, 128)
"""Rows at which the edges of the source are handed on, where masks say so."""
_ROOT = math.sqrt(2.0)


def widths_of(size: int, width: int, halvings: int) -> list[int]:
    """Channels before and after every halving of pictures of `size` pixels; `width` is what 256 pixels begin with.

    Example:
        >>> widths_of(256, 64, 4), widths_of(64, 64, 2)
        ([64, 128, 256, 512, 512], [256, 512, 512])
    """
    return [min(width * 256 // size * 2**number, WIDEST * width) for number in range(halvings + 1)]


class Halving(nn.Module):
    """Residual block of leaky ReLUs before convolutions; divided by the square root of 2, as all blocks here.

    Args:
        inputs, outputs: channels.
        normed: instance normalisation before every leaky ReLU.
        halves: averages two by two places.
    """

    def __init__(self, inputs: int, outputs: int, normed: bool = False, halves: bool = True) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(inputs, inputs, 3, 1, 1), nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.norm1, self.norm2 = (nn.InstanceNorm2d(inputs, affine=True) if normed else nn.Identity() for _ in range(2))
        self.conv1x1 = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self._shrink: Callable[[Tensor], Tensor] = nn.AvgPool2d(2) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, h, w] -> [B, O, h / 2, w / 2]."""
        y = self._shrink(self.conv1(F.leaky_relu(self.norm1(x), SLOPE)))
        y = self.conv2(F.leaky_relu(self.norm2(y), SLOPE))
        # The 1 x 1 convolution commutes with means of places; after them there are four times fewer.
        return (self.conv1x1(self._shrink(x)) + y) / _ROOT


class StyledNorm(nn.Module):
    """AdaIN: instance normalisation, then 1 + scale and bias that a style gives."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """[B, C, h, w] and [B, style] -> [B, C, h, w]."""
        scale, bias = self.fc(style)[:, :, None, None].chunk(2, 1)
        found: Tensor = (1 + scale) * F.instance_norm(x) + bias
        return found


class Styled(nn.Module):
    """Residual block of AdaINs.

    Args:
        inputs, outputs: channels.
        style: length of a style.
        doubles: enlarges twice by the nearest pixel.
        alone: without the shortcut, whose weights are there and never used, as in the public code.
    """

    def __init__(self, inputs: int, outputs: int, style: int, doubles: bool, alone: bool = False) -> None:
        super().__init__()
        self._alone = alone
        self.conv1, self.conv2 = nn.Conv2d(inputs, outputs, 3, 1, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1, self.norm2 = StyledNorm(style, inputs), StyledNorm(style, outputs)
        self.conv1x1 = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self._grow: Callable[[Tensor], Tensor] = nn.UpsamplingNearest2d(scale_factor=2) if doubles else nn.Identity()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """[B, I, h, w] and [B, style] -> [B, O, 2 h, 2 w]."""
        y = self.conv1(self._grow(F.leaky_relu(self.norm1(x, style), SLOPE)))
        y = self.conv2(F.leaky_relu(self.norm2(y, style), SLOPE))
        if not self._alone:
            # The 1 x 1 convolution commutes with repeating pixels; before it there are four times fewer of them.
            y = (y + self._grow(self.conv1x1(x))) / _ROOT
        found: Tensor = y
        return found


class HighPass(nn.Module):
    """Eight times a place less its neighbours, over w_hpf: [B, C, h, w] -> likewise."""

    filter: Tensor

    def __init__(self, w_hpf: float) -> None:
        super().__init__()
        edges = torch.full((3, 3), -1.0)
        edges[1, 1] = 8
        self.register_buffer("filter", edges / w_hpf)

    def forward(self, x: Tensor) -> Tensor:
        """Edges alone."""
        return F.conv2d(x, self.filter.expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])


class Generator(nn.Module):
    """A picture [B, 3, S, S] and a style -> a picture [B, 3, S, S], about in [-1, 1].

    At 256 pixels and 64 channels it has 33,892,995 parameters, as the public code with w_hpf = 0, and with w_hpf = 1
    as that has: 43,467,395.

    Args:
        size: S, a power of two from 32.
        width: channels that 256 pixels begin with.
        style: length of a style.
        w_hpf: above 0: one halving more, styled blocks without shortcuts, and where masks say so the edges of the
            source's features of 32, 64 and 128 rows, divided by it, instead.
    """

    def __init__(self, size: int, width: int, style: int = STYLE, w_hpf: float = 0.0) -> None:
        super().__init__()
        masked = w_hpf > 0
        widths = widths_of(size, width, round(math.log2(size)) - 4 + masked)
        self.from_rgb = nn.Conv2d(3, widths[0], 3, 1, 1)
        steps, last = list(pairwise(widths)), widths[-1]
        self.encode = nn.ModuleList([Halving(inputs, outputs, normed=True) for inputs, outputs in steps])
        self.encode.extend(Halving(last, last, normed=True, halves=False) for _ in range(2))
        self.decode = nn.ModuleList([Styled(last, last, style, False, masked) for _ in range(2)])
        self.decode.extend(Styled(outputs, inputs, style, True, masked) for inputs, outputs in reversed(steps))
        self.to_rgb = nn.Sequential(
            nn.InstanceNorm2d(widths[0], affine=True), nn.LeakyReLU(SLOPE), nn.Conv2d(widths[0], 3, 1)
        )
        if masked:
            self.hpf = HighPass(w_hpf)
        kaiming_weights(self)

    def forward(self, x: Tensor, style: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The source in the style; `masks` [B, 1, m, m], one for 32 rows and one for 64 and 128."""
        x, kept = self.from_rgb(x), {}
        for block in self.encode:
            kept[x.shape[2]] = x
            x = block(x)
        for block in self.decode:
            x = block(x, style)
            if masks is not None and (rows := x.shape[2]) in MASKED:
                mask = F.interpolate(masks[0] if rows == MASKED[0] else masks[1], size=rows, mode="bilinear")
                x = x + self.hpf(mask * kept[rows])
        found: Tensor = self.to_rgb(x)
        return found


class MappingNetwork(nn.Module):
    """A latent code [B, L] -> a style of a domain [B, style]."""

    def __init__(self, domains: int, hidden: int, style: int = STYLE, latent: int = LATENT) -> None:
        super().__init__()
        self.shared = _layers([latent, *[hidden] * 4], last=True)
        self.unshared = nn.ModuleList([_layers([hidden] * 4 + [style], last=False) for _ in range(domains)])
        kaiming_weights(self)

    def forward(self, z: Tensor, domain: Tensor) -> Tensor:
        """`domain` [B] long."""
        return _chosen(self.unshared, self.shared(z), domain)


class StyleEncoder(nn.Module):
    """A picture [B, 3, S, S] -> its style as one of a domain [B, style]."""

    def __init__(self, size: int, width: int, domains: int, style: int = STYLE) -> None:
        super().__init__()
        blocks, last = _to_one_place(size, width)
        self.shared = nn.Sequential(*blocks)
        self.unshared = nn.ModuleList([nn.Linear(last, style) for _ in range(domains)])
        kaiming_weights(self)

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        """`domain` [B] long."""
        return _chosen(self.unshared, self.shared(x).flatten(1), domain)


class Discriminator(nn.Module):
    """A picture [B, 3, S, S] -> one logit [B]: whether it is a real one of a domain."""

    def __init__(self, size: int, width: int, domains: int) -> None:
        super().__init__()
        blocks, last = _to_one_place(size, width)
        self.main = nn.Sequential(*blocks, nn.Conv2d(last, domains, 1))
        kaiming_weights(self)

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        """`domain` [B] long."""
        return self.main(x).flatten(1).gather(1, domain[:, None])[:, 0]


def _to_one_place(size: int, width: int) -> tuple[list[nn.Module], int]:
    """(layers from a picture to features of one place, their channels)."""
    widths = widths_of(size, width, round(math.log2(size)) - 2)
    halvings = [Halving(inputs, outputs) for inputs, outputs in pairwise(widths)]
    last = nn.Conv2d(widths[-1], widths[-1], 4)
    ends = nn.LeakyReLU(SLOPE), last, nn.LeakyReLU(SLOPE)
    return [nn.Conv2d(3, widths[0], 3, 1, 1), *halvings, *ends], widths[-1]


def _layers(widths: Sequence[int], last: bool) -> nn.Sequential:
    """Linear layers with a ReLU between them; `last`: and after them."""
    found: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        found += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*found if last else found[:-1])


def _chosen(branches: nn.ModuleList, features: Tensor, domain: Tensor) -> Tensor:
    """Each row by the branch of its domain."""
    every = torch.stack([branch(features) for branch in branches], 1)
    return every[torch.arange(len(domain), device=domain.device), domain]
