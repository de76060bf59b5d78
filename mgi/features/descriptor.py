"""Descriptors: what a generator's own features would be at every place of a picture, read by a feed-forward network.

Features of a pretrained generator match faces by what they show (left eye with left eye, hair with hair), where those
of a classifier match textures. A picture that the generator did not make has none, and inverting it first would take
half a minute. So a small network learns them from the generator's own samples, for which both are known, without any
label: features of a VGG in, the generator's out (`mgi.training.descriptor`).

Shapes: B pictures, C input channels, K output channels, G x G positions with G = 64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.features.base import Backbone, FeatureError, require_layers
from mgi.images import resize
from mgi.learnt_files import LearntFile, LearntFileError

LAYER = "generator"
"""The one layer of a descriptor."""
GRID = 64
"""Rows and columns of descriptors; pictures have four times as many."""
PICTURE = 4 * GRID
PLACES = 6
"""Channels of `position_channels`."""


@dataclass(frozen=True)
class DescriptorFacts:
    """What a descriptor's file says about itself; all of it is written to the file's metadata.

    `generator` is a name or file, `generator_sha256` its content's, `generator_layers` those whose features are learnt,
    `backbone` and `layers` what it reads, `explained` the share of the held-out features' variance that it explains,
    `card` whatever else is worth knowing.
    """

    generator: str
    generator_sha256: str
    generator_layers: tuple[int, ...]
    backbone: str
    layers: tuple[str, ...]
    width: int
    explained: float
    card: dict[str, Any] = field(default_factory=dict)


DESCRIPTOR = LearntFile("descriptor", DescriptorFacts, "mgi train descriptor GENERATOR --out FILE")


class DescriptorHead(nn.Module):
    """Unit features of a backbone and the position -> descriptor.

    A linear map (`reduce`, then `linear`), and what a small network adds to it that sees the surroundings: two blocks
    at 32 rows, two at 16, and a hidden layer at 64. Starts as the linear map alone.

    Args:
        channels: C.
        inner: channels after the reduction.
        width: channels of the blocks.
        out: K.
    """

    positions: Tensor

    def __init__(self, channels: int, inner: int, width: int, out: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, inner, 1, bias=False)
        self.linear = nn.Conv2d(inner + PLACES, out, 1, bias=False)
        self.enter = nn.Conv2d(inner + PLACES, width, 1)
        self.middle = nn.ModuleList([_Block(width), _Block(width)])
        self.coarse = nn.ModuleList([_Block(width), _Block(width)])
        self.hidden = nn.Conv2d(inner + PLACES, width, 1)
        self.leave = nn.Conv2d(width, out, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]
        self.register_buffer("positions", position_channels(), persistent=False)

    def reduced(self, features: Tensor) -> Tensor:
        """[B, C, G, G] -> [B, inner + 6, G, G]: fewer channels, and the position."""
        return torch.cat([self.reduce(features), self.positions.expand(len(features), -1, -1, -1)], dim=1)

    def from_reduced(self, reduced: Tensor) -> Tensor:
        """[B, inner + 6, G, G] -> descriptors [B, K, G, G]."""
        middle = self.enter(F.avg_pool2d(reduced, 2))
        middle = self.middle[0](middle)
        coarse = F.avg_pool2d(middle, 2)
        for block in self.coarse:
            coarse = block(coarse)
        middle = self.middle[1](middle + F.interpolate(coarse, scale_factor=2, mode="bilinear"))
        hidden = self.hidden(reduced) + F.interpolate(middle, scale_factor=2, mode="bilinear")
        out: Tensor = self.linear(reduced) + self.leave(F.gelu(hidden))
        return out

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, G, G] -> [B, K, G, G]."""
        return self.from_reduced(self.reduced(features))


class _Block(nn.Module):
    """Two 3 x 3 convolutions with a shortcut. Dense ones: gradients of depthwise weights are very slow on CPUs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(F.gelu(self.first(self.norm(x))))
        return out


class Descriptor:
    """A `Backbone` with the one layer `generator`: [B, K, 64, 64].

    Args:
        backbone: the network that it reads.
        head: the learnt part.
        facts: where it comes from.
    """

    unit = 1.0

    def __init__(self, backbone: Backbone, head: DescriptorHead, facts: DescriptorFacts) -> None:
        self.name = f"descriptor of {facts.generator}"
        self.backbone, self.facts = backbone, facts
        self._head = head.eval().requires_grad_(False)

    @property
    def layers(self) -> tuple[str, ...]:
        """`generator`."""
        return (LAYER,)

    def channels(self, layer: str) -> int:
        """K."""
        require_layers(self.name, self.layers, [layer])
        return self._head.linear.out_channels

    def to(self, device: str | torch.device) -> Descriptor:
        """The same descriptor with its learnt part on another device."""
        return Descriptor(self.backbone, self._head.to(device), self.facts)

    def __call__(self, images: Tensor, layers: Sequence[str] = (LAYER,)) -> dict[str, Tensor]:
        """Images [B, 3, H, W] in [-1, 1] -> {generator: [B, K, 64, 64]}."""
        require_layers(self.name, self.layers, layers)
        return {LAYER: self.read(self.backbone(seen(images), self.facts.layers))}

    def reads(self, backbone: Backbone, images: Tensor) -> bool:
        """Whether a pass of this network over these pictures has what `read` needs."""
        return backbone is self.backbone and images.shape[-1] == PICTURE

    def read(self, pyramid: Mapping[str, Tensor]) -> Tensor:
        """The backbone's layers `facts.layers` of pictures of 256 rows -> [B, K, 64, 64]."""
        found: Tensor = self._head(unit_pyramid([pyramid[layer] for layer in self.facts.layers]))
        return found


def seen(images: Tensor) -> Tensor:
    """Pictures as descriptors are learnt from: [B, 3, 256, 256]."""
    return images if images.shape[-1] == PICTURE else resize(images, PICTURE)


def unit_pyramid(pyramid: Sequence[Tensor]) -> Tensor:
    """Layers centred over positions and of unit length at each: [B, sum C_i, 64, 64]."""
    parts = [F.normalize(layer - layer.mean((2, 3), keepdim=True), dim=1, eps=1e-12) for layer in pyramid]
    return torch.cat([resize(part, GRID) for part in parts], dim=1)


def position_channels() -> Tensor:
    """x, y, x y, x^2, y^2 and 1 at every position, in [-1, 1]: [1, 6, 64, 64]."""
    line = torch.linspace(-1, 1, GRID)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y, x * y, x.square(), y.square(), torch.ones_like(x)])[None]


def write_descriptor(path: Path, head: DescriptorHead, facts: DescriptorFacts) -> None:
    """Write a descriptor in half precision; its file appears whole or not at all."""
    DESCRIPTOR.write(path, head.state_dict(), facts)


def read_facts(path: Path) -> DescriptorFacts:
    """What a descriptor's file says about itself. Raises FeatureError: it is no descriptor."""
    try:
        return DESCRIPTOR.read_facts(path)
    except LearntFileError as error:
        raise FeatureError(str(error)) from None


def read_descriptor(path: Path, backbone: Backbone) -> Descriptor:
    """A descriptor from its file.

    Raises:
        FeatureError: the file is no descriptor, is damaged, or reads another network.
    """
    try:
        tensors, facts = DESCRIPTOR.read(path)
        if facts.backbone != backbone.name:
            raise FeatureError(f"{path} reads {facts.backbone}, found {backbone.name}; load that network for it")
        with DESCRIPTOR.building(path):
            reduce, linear = tensors["reduce.weight"], tensors["linear.weight"]
            head = DescriptorHead(reduce.shape[1], reduce.shape[0], facts.width, linear.shape[0])
            head.load_state_dict(tensors)
    except LearntFileError as error:
        raise FeatureError(str(error)) from None
    return Descriptor(backbone, head, facts)
