"""Encoder and generator of the Swapping Autoencoder, as wide and deep as a shape says (paper, figure 18)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.equalised import EqualisedLinear
from mgi.systems.swapping_layers import GAIN, Modulated, Residual, Styled, convolution, unit

_BLUR = (1, 2, 1)
STRUCTURE = 8
"""Channels of the structure, as published."""


def used(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that make pictures: no discriminators, and not the filter of a last layer that enlarges nothing."""
    return {key: x for key, x in tensors.items() if key.startswith(("E.", "G.")) and key != "G.ToRGB.upsample.kernel"}


@dataclass(frozen=True)
class Shape:
    """Widths of both networks.

    Args:
        down: channels before and after every block of the encoder that halves the size, towards the structure.
        more: channels after every further one, towards the texture.
        structure, texture: channels of both codes.
        head: channels after every block of the generator at the structure's size.
        up: channels after every block that doubles the size.
    """

    down: tuple[int, ...]
    more: tuple[int, ...]
    structure: int
    texture: int
    head: tuple[int, ...]
    up: tuple[int, ...]

    @staticmethod
    def published(width: int, halvings: int) -> Shape:
        """Of the public code's defaults, where the encoder begins with 32 channels and halves four times.

        Args:
            width: channels that the encoder begins with; all others are in proportion, but for the structure's eight.
            halvings: towards the structure; two more lead to the texture.
        """
        codes = [min(64 * width, width * 2**number) for number in range(halvings + 3)]
        features = [min(16 * width, 4 * width * 2 ** (halvings - number)) for number in range(halvings + 1)]
        return Shape(
            down=tuple(codes[: halvings + 1]),
            more=tuple(codes[halvings + 1 :]),
            structure=STRUCTURE,
            texture=64 * width,
            head=tuple(max(STRUCTURE, round(features[0] * share)) for share in (0.5, 1.0)),
            up=tuple(features[1:]),
        )

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> Shape:
        """Of a checkpoint's tensors, by names as in the public code.

        Raises:
            KeyError: it lacks a layer.
        """

        def widths(pattern: str, axis: int = 0) -> tuple[int, ...]:
            found = {}
            for key, tensor in tensors.items():
                if hit := re.fullmatch(pattern, key):
                    found[int(hit[1])] = int(tensor.shape[axis])
            return tuple(width for _, width in sorted(found.items()))

        return Shape(
            down=(
                int(tensors["E.FromRGB.Conv.weight"].shape[0]),
                *widths(r"E\.DownToSpatialCode\.ResBlockDownBy(\d+)\.conv2\.Conv\.weight"),
            ),
            more=widths(r"E\.DownToGlobalCode\.ConvLayerDownBy(\d+)\.Conv\.weight"),
            structure=int(tensors["E.ToSpatialCode.1.Conv.weight"].shape[0]),
            texture=int(tensors["E.ToGlobalCode.0.weight"].shape[0]),
            head=widths(r"G\.HeadResnetBlock(\d+)\.conv2\.conv\.weight", 1),
            up=widths(r"G\.UpsamplingResBlock(\d+)\.conv2\.conv\.weight", 1),
        )


class Encoder(nn.Module):
    """Picture [B, 3, R, R] in [-1, 1] -> structure [B, s, R/16, R/16] and texture [B, t], each of unit length."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.FromRGB = convolution(3, shape.down[0], 1)
        self.DownToSpatialCode = nn.Sequential()
        for number, (inputs, outputs) in enumerate(zip(shape.down, shape.down[1:], strict=False)):
            self.DownToSpatialCode.add_module(
                f"ResBlockDownBy{2**number}", Residual(inputs, outputs, _BLUR, mirrored=True)
            )
        last = shape.down[-1]
        self.ToSpatialCode = nn.Sequential(
            convolution(last, last, 1), convolution(last, shape.structure, 1, activate=False)
        )
        self.DownToGlobalCode = nn.Sequential()
        widths = (last, *shape.more)
        for number, (inputs, outputs) in enumerate(zip(widths, shape.more, strict=False), start=len(shape.down) - 1):
            self.DownToGlobalCode.add_module(f"ConvLayerDownBy{2**number}", convolution(inputs, outputs, 3, (1,)))
        self.ToGlobalCode = nn.Sequential(EqualisedLinear(widths[-1], shape.texture))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The two codes."""
        middle = self.DownToSpatialCode(self.FromRGB(images))
        texture = self.ToGlobalCode(self.DownToGlobalCode(middle).mean((2, 3)))
        return unit(self.ToSpatialCode(middle)), unit(texture)


class Scaling(nn.Module):
    """Scale and bias of every channel of the structure, from the texture."""

    def __init__(self, textures: int, channels: int) -> None:
        super().__init__()
        self.scale, self.bias = EqualisedLinear(textures, channels), EqualisedLinear(textures, channels)

    def forward(self, x: Tensor, texture: Tensor) -> Tensor:
        """[B, C, h, w] and [B, T] -> [B, C, h, w]."""
        return x * self.scale(texture)[:, :, None, None] + self.bias(texture)[:, :, None, None]


class Block(nn.Module):
    """Residual block of the generator."""

    def __init__(self, inputs: int, outputs: int, textures: int, up: bool) -> None:
        super().__init__()
        self._up = up
        self.conv1 = Styled(inputs, outputs, textures, up)
        self.conv2 = Styled(outputs, outputs, textures)
        if inputs != outputs:
            self.skip: nn.Module = convolution(inputs, outputs, 1, activate=up, bias=up)
        else:
            self.skip = nn.Identity()

    def forward(self, x: Tensor, texture: Tensor, random: torch.Generator | None) -> Tensor:
        """[B, I, h, w] -> [B, O, h, w], or twice as large."""
        skip = self.skip(x)
        if self._up:
            skip = F.interpolate(skip, scale_factor=2, mode="bilinear", align_corners=False)
        return (skip + self.conv2(self.conv1(x, texture, random), texture, random)) / GAIN


class ToRGB(nn.Module):
    """The last features as a picture."""

    def __init__(self, inputs: int, textures: int) -> None:
        super().__init__()
        self.conv = Modulated(inputs, 3, 1, textures, up=False, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, texture: Tensor) -> Tensor:
        """[B, C, R, R] -> [B, 3, R, R]."""
        found: Tensor = self.conv(x, texture) + self.bias
        return found


class Generator(nn.Module):
    """Structure [B, s, h, w] and texture [B, t] -> picture [B, 3, R, R], about in [-1, 1]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.SpatialCodeModulation = Scaling(shape.texture, shape.structure)
        self._blocks: list[str] = []
        inputs = shape.structure
        for number, outputs in enumerate(shape.head):
            self._add(f"HeadResnetBlock{number}", Block(inputs, outputs, shape.texture, up=False))
            inputs = outputs
        for number, outputs in enumerate(shape.up):
            self._add(f"UpsamplingResBlock{2 ** (4 + number)}", Block(inputs, outputs, shape.texture, up=True))
            inputs = outputs
        self.ToRGB = ToRGB(inputs, shape.texture)

    def _add(self, name: str, block: Block) -> None:
        self.add_module(name, block)
        self._blocks.append(name)

    def forward(self, structure: Tensor, texture: Tensor, random: torch.Generator | None = None) -> Tensor:
        """`random` draws the noise; None: no noise."""
        structure, texture = unit(structure), unit(texture)
        x = self.SpatialCodeModulation(structure, texture)
        for name in self._blocks:
            x = self.get_submodule(name)(x, texture, random)
        found: Tensor = self.ToRGB(x, texture)
        return found


class Autoencoder(nn.Module):
    """Both networks, called as in the public code."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.E, self.G = Encoder(shape), Generator(shape)
