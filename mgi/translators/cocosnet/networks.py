"""CoCosNet's two networks: features that correspond across domains, and the generator (sections 3.1, 3.2)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.translators.cocosnet.layers import SLOPE, Attention, Residual, SpadeBlock

DOWN = 4
"""Pixels per side of a cell that is matched."""
TEMPERATURE = 0.01
MATCHED = 256
"""Channels of what is matched, before 3 x 3 places are taken together."""
Enlarging = Literal["bilinear", "nearest", "patches"]
"""How the warp comes back to full size: from means of cells, or by moving whole cells (`--warp_patch`)."""


@dataclass(frozen=True)
class Shape:
    """What a checkpoint's shapes say.

    Args:
        width: channels of the first layer (64).
        maps: channels of the condition.
        kernel: of the encoder's layers that halve the size (3 or 4).
        with_maps: the condition is matched, too (`--maskmix`).
        coordinates: places are matched, too (`--use_coordconv`).
        attention: the generator has it.
    """

    width: int
    maps: int
    kernel: int
    with_maps: bool
    coordinates: bool
    attention: bool

    @staticmethod
    def of(correspondence: Mapping[str, Tensor], generator: Mapping[str, Tensor]) -> Shape:
        """Of both files' tensors.

        Raises:
            KeyError: one lacks a layer.
        """
        first = correspondence["adaptive_model_seg.layer1.0.weight"]
        width, maps = first.shape[:2]
        more = correspondence["phi.weight"].shape[1] - 4 * width
        return Shape(
            width=int(width),
            maps=int(maps),
            kernel=int(correspondence["adaptive_model_seg.layer2.0.weight"].shape[-1]),
            with_maps=more >= maps,
            coordinates=more in (3, 3 + maps),
            attention="attn.gamma" in generator,
        )


class Features(nn.Module):
    """A picture or a condition [B, M, R, R] -> features [B, 4 W, R/4, R/4], which it modulates itself."""

    def __init__(self, maps: int, width: int, kernel: int) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, side: int, stride: int) -> nn.Sequential:
            conv = nn.Conv2d(inputs, outputs, side, stride, padding=1, bias=False)
            return nn.Sequential(conv, nn.InstanceNorm2d(outputs))

        self.layer1 = layer(maps, width, 3, 1)
        self.layer2 = layer(width, 2 * width, kernel, 2)
        self.layer3 = layer(2 * width, 4 * width, 3, 1)
        self.layer4 = layer(4 * width, 8 * width, kernel, 2)
        self.layer5 = layer(8 * width, 8 * width, 3, 1)
        self.head_0 = SpadeBlock(8 * width, 8 * width, maps)
        self.G_middle_0 = SpadeBlock(8 * width, 8 * width, maps)
        self.G_middle_1 = SpadeBlock(8 * width, 4 * width, maps)

    def forward(self, map: Tensor) -> Tensor:
        """The features."""
        x = self.layer1(map)
        for layer in (self.layer2, self.layer3, self.layer4, self.layer5):
            x = layer(F.leaky_relu(x, SLOPE))
        for block in (self.head_0, self.G_middle_0, self.G_middle_1):
            x = block(x, map)
        return x


class Correspondence(nn.Module):
    """Warps an exemplar to a condition (equations 1 to 4)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.adaptive_model_seg = Features(shape.maps, shape.width, shape.kernel)
        self.adaptive_model_img = Features(3, shape.width, shape.kernel)
        channels = 4 * shape.width + 3 * shape.coordinates + shape.maps * shape.with_maps
        self.layer = nn.Sequential(*(Residual(channels) for _ in range(4)))
        self.phi, self.theta = nn.Conv2d(channels, MATCHED, 1), nn.Conv2d(channels, MATCHED, 1)

    def forward(
        self, condition: Tensor, exemplar: Tensor, exemplar_condition: Tensor, enlarging: Enlarging = "bilinear"
    ) -> Tensor:
        """The warp [B, 3, R, R].

        Args:
            condition: [B, M, R, R], what the result shall show.
            exemplar: [B, 3, R, R] in [-1, 1].
            exemplar_condition: [B, M, R, R]; not used by networks without it.
            enlarging: how the checkpoint was trained.
        """
        rows = self._matched(self.adaptive_model_seg(condition), condition, self.theta)
        columns = self._matched(self.adaptive_model_img(exemplar), exemplar_condition, self.phi)
        weights = torch.softmax(rows.transpose(1, 2) @ columns / TEMPERATURE, dim=-1)
        if enlarging == "patches":
            cells = F.unfold(exemplar, DOWN, stride=DOWN).transpose(1, 2)
            return F.fold((weights @ cells).transpose(1, 2), exemplar.shape[2:], DOWN, stride=DOWN)
        small = F.avg_pool2d(exemplar, DOWN)
        warp = (weights @ small.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, small.shape[2:])
        if enlarging == "nearest":
            return F.interpolate(warp, scale_factor=DOWN, mode="nearest")
        return F.interpolate(warp, scale_factor=DOWN, mode="bilinear", align_corners=False)

    def _matched(self, features: Tensor, condition: Tensor, projection: nn.Module) -> Tensor:
        """Unit vectors [B, 9 x 256, cells], of all 3 x 3 neighbourhoods."""
        features = _unit(features)
        if self.shape.coordinates:
            features = torch.cat([features, _places(features)], 1)
        if self.shape.with_maps:
            features = torch.cat([features, F.interpolate(condition, size=features.shape[2:], mode="nearest")], 1)
        vectors = F.unfold(projection(self.layer(features)), 3, padding=1)
        return _unit(vectors - vectors.mean(1, keepdim=True))


class Generator(nn.Module):
    """Warp and condition [B, 3 + M, R, R] -> picture [B, 3, R, R] in [-1, 1]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, maps = shape.width, 3 + shape.maps
        self.fc = nn.Conv2d(maps, 16 * width, 3, padding=1)
        self.head_0 = SpadeBlock(16 * width, 16 * width, maps)
        self.G_middle_0 = SpadeBlock(16 * width, 16 * width, maps)
        self.G_middle_1 = SpadeBlock(16 * width, 16 * width, maps)
        self.up_0 = SpadeBlock(16 * width, 8 * width, maps)
        self.up_1 = SpadeBlock(8 * width, 4 * width, maps)
        self.attn = Attention(4 * width) if shape.attention else nn.Identity()
        self.up_2 = SpadeBlock(4 * width, 2 * width, maps)
        self.up_3 = SpadeBlock(2 * width, width, maps)
        self.conv_img = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, warp: Tensor, condition: Tensor) -> Tensor:
        """The picture."""
        map = torch.cat([warp, condition], 1)
        x = self.fc(F.interpolate(map, size=tuple(side // 32 for side in map.shape[2:]), mode="nearest"))
        x = _doubled(self.head_0(x, map))
        x = _doubled(self.G_middle_1(self.G_middle_0(x, map), map))
        x = _doubled(self.up_0(x, map))
        x = self.attn(_doubled(self.up_1(x, map)))
        x = self.up_3(_doubled(self.up_2(x, map)), map)
        return torch.tanh(self.conv_img(F.leaky_relu(x, SLOPE)))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _unit(x: Tensor) -> Tensor:
    return x / (x.norm(dim=1, keepdim=True) + sys.float_info.epsilon)


def _places(x: Tensor) -> Tensor:
    """Column, row and distance from the centre, the first two in [-1, 1]: [B, 3, h, w]."""
    height, width = x.shape[2:]
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    found = torch.stack([columns, rows, (rows.square() + columns.square()).sqrt()])
    return found.to(x).expand(len(x), -1, -1, -1)
