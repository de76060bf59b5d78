"""A projected discriminator (Sauer et al. 2021): heads on the features of a frozen, pretrained network.

Features of four resolutions are mixed by fixed random convolutions, first across channels, then from coarse to fine
across scales (section 3.2 of that paper), so no head can concentrate on the few features that are easiest to tell
apart. Only the heads are trained; each is spectrally normalised and sees one scale.

Ours: one more head sees the pixels. Without it the generator learnt a fine grid that the pretrained features overlook.

A discriminator of patches (after Ojha et al. 2021, section 3.2) has neither the coarsest scale nor heads that gather a
whole picture; through the receptive fields of the features a little of one is left. It asks for the domain's strokes
and colours everywhere, and not for its layout, which an adapted generator can follow only by giving up the faces that
it has (docs/training.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.features import Backbone
from mgi.training.networks import SLOPE, Discriminator, minibatch_deviation

WIDTH = 32
"""Channels of the finest scale after mixing; doubled with every halving."""
HEAD = 64
"""Channels of a head."""
LAST, LAST_OF_PATCHES = 4, 16
"""Rows at which a head stops halving."""
COARSEST = 1
"""Scales that a discriminator of patches leaves out."""


class ProjectedDiscriminator(nn.Module):
    """Logits [B, K] of all heads and positions; the objectives take their mean.

    Args:
        backbone: a frozen feature network.
        layers: its layers, from fine to coarse, each half the size of the one before.
        size: rows that images are resized to before the backbone.
        channels: of the generator; the head that sees pixels has half as many.
        deviation: whether heads see how much the pictures of a batch differ.
        patches: whether it judges patches instead of whole pictures.
    """

    pixels: nn.Module

    def __init__(
        self,
        backbone: Backbone,
        layers: Sequence[str],
        size: int,
        channels: Sequence[int],
        deviation: bool = True,
        patches: bool = False,
    ) -> None:
        super().__init__()
        if patches:
            layers = layers[:-COARSEST]
        last = LAST_OF_PATCHES if patches else LAST
        # Not a submodule: its weights are neither trained nor saved.
        self._backbone = (backbone,)
        self._layers, self._size = tuple(layers), size
        widths = [WIDTH << number for number in range(len(layers))]
        for number, (layer, width) in enumerate(zip(layers, widths, strict=True)):
            self._fixed(f"channels{number}", width, backbone.channels(layer), 1)
            if number:
                self._fixed(f"scales{number}", widths[number - 1], width, 3)
        self.heads = nn.ModuleList(
            _Head(width, _halvings(size >> (2 + number), last), deviation) for number, width in enumerate(widths)
        )
        if patches:
            self.pixels = _Head(3, _halvings(4 << (len(channels) - 1), last), deviation)
        else:
            self.pixels = Discriminator([width // 2 for width in channels], True, deviation)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, R, R] -> logits [B, K], high where they look real."""
        pixels = self.pixels(images)
        if pixels.dim() == 1:  # as many columns as a large head has, so it counts like one in the mean
            pixels = pixels[:, None].expand(-1, LAST * LAST)
        if images.shape[-1] != self._size:
            images = F.interpolate(images, size=self._size, mode="bilinear", align_corners=False)
        features = self._backbone[0](images.contiguous(memory_format=torch.channels_last), self._layers)
        mixed: list[Tensor] = []
        above: Tensor | None = None
        for number in reversed(range(len(self._layers))):
            x = F.conv2d(features[self._layers[number]], self.get_buffer(f"channels{number}"))
            if above is not None:
                x = x + above
            mixed.insert(0, x)
            if number:
                fused = F.conv2d(x, self.get_buffer(f"scales{number}"), padding=1)
                above = F.interpolate(fused, scale_factor=2, mode="bilinear", align_corners=False)
        return torch.cat([pixels, *(head(x) for head, x in zip(self.heads, mixed, strict=True))], dim=1)

    def _fixed(self, name: str, outputs: int, inputs: int, size: int) -> None:
        weight = torch.randn(outputs, inputs, size, size) * math.sqrt(1 / (inputs * size * size))
        self.register_buffer(name, weight)


class _Head(nn.Module):
    def __init__(self, inputs: int, halvings: int, deviation: bool) -> None:
        super().__init__()
        self.deviation = deviation
        widths = [inputs] + [HEAD] * halvings
        convolutions = [_normalised(before, after, 4, 2, 1) for before, after in itertools.pairwise(widths)]
        self.down = nn.ModuleList(convolutions)
        self.last = _normalised(widths[-1] + 1, HEAD, 3, 1, 1)
        self.logit = _normalised(HEAD, 1, 1, 1, 0)

    def forward(self, x: Tensor) -> Tensor:
        for convolution in self.down:
            x = F.leaky_relu(convolution(x), SLOPE)
        # PGGAN's remedy for collapse, once per head.
        x = F.leaky_relu(self.last(minibatch_deviation(x, self.deviation)), SLOPE)
        logits: Tensor = self.logit(x)
        return logits.flatten(1)


def _halvings(rows: int, last: int) -> int:
    return max(0, rows.bit_length() - last.bit_length())


def _normalised(inputs: int, outputs: int, size: int, stride: int, padding: int) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(nn.Conv2d(inputs, outputs, size, stride, padding))
