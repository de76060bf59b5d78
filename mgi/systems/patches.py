"""Discriminators that judge patches: PatchGAN (Isola et al. 2017), alone or at several sizes (Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mgi.systems.layers import SLOPE, Norm, norm_of, normal_weights, with_bias


class PatchDiscriminator(nn.Module):
    """Pictures [B, I, S, S] -> one logit per patch [B, 1, h, w]; three layers see patches of 70 x 70 pixels.

    For six channels and 64 of width it has 2,768,705 parameters with batch normalisation, as the public code.

    Args:
        inputs: channels.
        width: channels of the first layer.
        layers: halvings.
        norm: after all but the first and last layer.
        strided: as UNIT and MUNIT have it: one halving more, mirrored borders, a last layer of 1 x 1.
    """

    def __init__(self, inputs: int, width: int, layers: int = 3, norm: Norm = "batch", strided: bool = False) -> None:
        super().__init__()
        widths = [width * min(8, 2**number) for number in range(layers + 1)]
        borders: Literal["reflect", "zeros"] = "reflect" if strided else "zeros"
        self.convs = nn.ModuleList([nn.Conv2d(inputs, width, 4, 2, 1, padding_mode=borders)])
        self.norms = nn.ModuleList([nn.Identity()])
        for number in range(1, layers + 1):
            stride = 2 if number < layers or strided else 1
            between = widths[number - 1], widths[number]
            self.convs.append(nn.Conv2d(*between, 4, stride, 1, bias=with_bias(norm), padding_mode=borders))
            self.norms.append(norm_of(norm, widths[number]))
        self.last = nn.Conv2d(widths[-1], 1, 1) if strided else nn.Conv2d(widths[-1], 1, 4, 1, 1)
        normal_weights(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """What every layer makes, the logits last."""
        found = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), SLOPE)
            found.append(x)
        return [*found, self.last(x)]

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.features(x)[-1]


class MultiScale(nn.Module):
    """The same kind of discriminator on the pictures and on smaller ones of them, each with its own weights.

    Args:
        discriminators: from the largest pictures on; each has `features`.
    """

    def __init__(self, discriminators: Sequence[PatchDiscriminator]) -> None:
        super().__init__()
        self.each = nn.ModuleList(discriminators)

    def features(self, x: Tensor) -> list[list[Tensor]]:
        """What every layer of every discriminator makes."""
        found = []
        for discriminator in self.each:
            assert isinstance(discriminator, PatchDiscriminator)
            found.append(discriminator.features(x))
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found

    def forward(self, x: Tensor) -> list[Tensor]:
        """The logits of each."""
        return [layers[-1] for layers in self.features(x)]
