"""CoCosNet's two networks: features that correspond across domains, and the generator (sections 3.1, 3.2)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.systems.cocosnet_layers import HIDDEN, SLOPE, Attention, Residual, SpadeBlock, Wrap, as_is
from mgi.systems.matching import Matcher, Matching, cells, full

DOWN = 4
"""Pixels per side of a cell that is matched."""
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
        hidden: channels between a map and the scales that it decides.
    """

    width: int
    maps: int
    kernel: int
    with_maps: bool
    coordinates: bool
    attention: bool
    hidden: int = HIDDEN

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

    def __init__(self, maps: int, shape: Shape, wrap: Wrap = as_is) -> None:
        super().__init__()
        width, kernel, hidden = shape.width, shape.kernel, shape.hidden

        def layer(inputs: int, outputs: int, side: int, stride: int) -> nn.Sequential:
            conv = nn.Conv2d(inputs, outputs, side, stride, padding=1, bias=False)
            return nn.Sequential(wrap(conv), nn.InstanceNorm2d(outputs))

        self.layer1 = layer(maps, width, 3, 1)
        self.layer2 = layer(width, 2 * width, kernel, 2)
        self.layer3 = layer(2 * width, 4 * width, 3, 1)
        self.layer4 = layer(4 * width, 8 * width, kernel, 2)
        self.layer5 = layer(8 * width, 8 * width, 3, 1)
        self.head_0 = SpadeBlock(8 * width, 8 * width, maps, hidden, wrap)
        self.G_middle_0 = SpadeBlock(8 * width, 8 * width, maps, hidden, wrap)
        self.G_middle_1 = SpadeBlock(8 * width, 4 * width, maps, hidden, wrap)

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

    def __init__(self, shape: Shape, wrap: Wrap = as_is) -> None:
        super().__init__()
        self.shape = shape
        self.adaptive_model_seg = Features(shape.maps, shape, wrap)
        self.adaptive_model_img = Features(3, shape, wrap)
        channels = 4 * shape.width + 3 * shape.coordinates + shape.maps * shape.with_maps
        self.layer = nn.Sequential(*(Residual(channels) for _ in range(4)))
        self.phi, self.theta = nn.Conv2d(channels, MATCHED, 1), nn.Conv2d(channels, MATCHED, 1)

    def forward(
        self,
        condition: Tensor,
        exemplar: Tensor,
        exemplar_condition: Tensor,
        enlarging: Enlarging = "bilinear",
        matcher: Matcher = full,
    ) -> Tensor:
        """The warp [B, 3, R, R].

        Args:
            condition: [B, M, R, R], what the result shall show.
            exemplar: [B, 3, R, R] in [-1, 1].
            exemplar_condition: [B, M, R, R]; not used by networks without it.
            enlarging: how the checkpoint was trained.
            matcher: how cells are matched.
        """
        features = self.of_condition(condition), self.of_picture(exemplar)
        matching = self.match(features[0], condition, features[1], exemplar_condition, matcher)
        return warped(matching, exemplar, enlarging)

    def of_condition(self, condition: Tensor) -> Tensor:
        """Unit features [B, 4 W, R/4, R/4], in the domain that both kinds of pictures share."""
        return _unit(self.adaptive_model_seg(condition))

    def of_picture(self, picture: Tensor) -> Tensor:
        """The same of a picture [B, 3, R, R]."""
        return _unit(self.adaptive_model_img(picture))

    def match(
        self, features: Tensor, condition: Tensor, of_exemplar: Tensor, exemplar_condition: Tensor, matcher: Matcher
    ) -> Matching:
        """Cells of 4 x 4 pixels of the condition with those of the exemplar, by the unit features of both."""
        rows = self._matched(features, condition, self.theta)
        columns = self._matched(of_exemplar, exemplar_condition, self.phi)
        return matcher(rows, columns, (features.shape[2], features.shape[3]))

    def _matched(self, features: Tensor, condition: Tensor, projection: nn.Module) -> Tensor:
        """Unit vectors [B, 9 x 256, cells], of all 3 x 3 neighbourhoods."""
        if self.shape.coordinates:
            features = torch.cat([features, _places(features)], 1)
        if self.shape.with_maps:
            features = torch.cat([features, F.interpolate(condition, size=features.shape[2:], mode="nearest")], 1)
        vectors = F.unfold(projection(self.layer(features)), 3, padding=1)
        return _unit(vectors - vectors.mean(1, keepdim=True))


def warped(matching: Matching, exemplar: Tensor, enlarging: Enlarging) -> Tensor:
    """The exemplar [B, 3, R, R] as a matching of its cells has it."""
    size = exemplar.shape[2:]
    if enlarging == "patches":
        patches = F.unfold(exemplar, DOWN, stride=DOWN).transpose(1, 2)
        return F.fold(matching.carry(patches).transpose(1, 2), size, DOWN, stride=DOWN)
    small = matching.carry(cells(exemplar, DOWN)).transpose(1, 2).unflatten(2, (size[0] // DOWN, size[1] // DOWN))
    if enlarging == "nearest":
        return F.interpolate(small, scale_factor=DOWN, mode="nearest")
    return F.interpolate(small, scale_factor=DOWN, mode="bilinear", align_corners=False)


class Generator(nn.Module):
    """Warp and condition [B, 3 + M, R, R] -> picture [B, 3, R, R] in [-1, 1]."""

    def __init__(self, shape: Shape, wrap: Wrap = as_is) -> None:
        super().__init__()
        width, maps, hidden = shape.width, 3 + shape.maps, shape.hidden
        self.fc = nn.Conv2d(maps, 16 * width, 3, padding=1)
        self.head_0 = SpadeBlock(16 * width, 16 * width, maps, hidden, wrap)
        self.G_middle_0 = SpadeBlock(16 * width, 16 * width, maps, hidden, wrap)
        self.G_middle_1 = SpadeBlock(16 * width, 16 * width, maps, hidden, wrap)
        self.up_0 = SpadeBlock(16 * width, 8 * width, maps, hidden, wrap)
        self.up_1 = SpadeBlock(8 * width, 4 * width, maps, hidden, wrap)
        self.attn = Attention(4 * width, wrap) if shape.attention else nn.Identity()
        self.up_2 = SpadeBlock(4 * width, 2 * width, maps, hidden, wrap)
        self.up_3 = SpadeBlock(2 * width, width, maps, hidden, wrap)
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
