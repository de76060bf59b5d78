"""ResNet (He et al., CVPR 2016) as a frozen feature network.

Layers: `stem` at half the image's size, `layer1` to `layer4` at a quarter to a 32nd. OEFT names it next to VGG (section
3.2, before equation 1). Batch normalisation is folded into the convolutions, with the statistics of ImageNet: a single
pair cannot give meaningful ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mgi.features.base import FeatureError, require_layers
from mgi.features.chain import Convolution, Convolve, Unit, walk
from mgi.features.vgg import fold_input
from mgi.winograd import conv3x3

_EPSILON = 1e-5
_BLOCK = re.compile(r"layer(\d)\.(\d+)\.conv1\.weight")


@dataclass(frozen=True)
class Stem:
    """The 7 x 7 convolution of stride 2 and its ReLU."""

    name: str = "stem"
    layer: str = "stem"
    convolutions: tuple[str, ...] = ("conv1",)

    def run(self, x: Tensor, convolve: Convolve) -> Tensor:
        """Convolution, ReLU."""
        return convolve(x, "conv1").relu_()


@dataclass(frozen=True)
class Bottleneck:
    """1 x 1, 3 x 3 and 1 x 1 convolutions next to a shortcut; the very first one pools before."""

    stage: int
    index: int
    last: bool
    """Whether its stage ends with it."""
    shortcut: bool
    """Whether the shortcut has a convolution of its own."""

    @property
    def name(self) -> str:
        """layer1.0, layer1.1, ..."""
        return f"layer{self.stage}.{self.index}"

    @property
    def layer(self) -> str | None:
        """layer1 to layer4, where the stage ends."""
        return f"layer{self.stage}" if self.last else None

    @property
    def convolutions(self) -> tuple[str, ...]:
        """torchvision's names of them."""
        names = [f"{self.name}.conv{number}" for number in (1, 2, 3)]
        return (*names, f"{self.name}.downsample.0") if self.shortcut else tuple(names)

    def run(self, x: Tensor, convolve: Convolve) -> Tensor:
        """The sum of the shortcut and the convolutions, then a ReLU."""
        if (self.stage, self.index) == (1, 0):
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        first, second, third, *other = self.convolutions
        y = convolve(convolve(convolve(x, first).relu_(), second).relu_(), third)
        return (y + (convolve(x, other[0]) if other else x)).relu_()


class ResNet(nn.Module):
    """The convolutions of a ResNet of bottlenecks (50, 101, 152), run only as deep as the deepest layer asked for.

    Args:
        tensors: torchvision's state dict; depth and widths are read from it, the classifier is not needed.

    Raises:
        FeatureError: a tensor is missing, or the blocks are not bottlenecks.
    """

    offset: Tensor

    def __init__(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.name, self.unit = name, 1.0
        found = sorted((int(m[1]), int(m[2])) for key in tensors if (m := _BLOCK.fullmatch(key)))
        if not found or "layer1.0.conv3.weight" not in tensors:
            raise FeatureError(f"{name}: expected tensors conv1.weight, layer1.0.conv3.weight, ... of a ResNet-50")
        ends = dict(found)  # stage -> its last block
        self._units: tuple[Unit, ...] = (
            Stem(),
            *(Bottleneck(s, i, i == ends[s], f"layer{s}.{i}.downsample.0.weight" in tensors) for s, i in found),
        )
        self._strides: dict[str, int] = {}
        try:
            offset, first = fold_input(tensors["conv1.weight"].float(), "torchvision-rgb", name)
            self.register_buffer("offset", offset)
            self._fold({**tensors, "conv1.weight": first}, "conv1", "bn1", 2)
            for stage, index in found:
                block, stride = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
                for number in (1, 2, 3):  # the 3 x 3 has the stride, as in torchvision
                    names = f"{block}.conv{number}", f"{block}.bn{number}"
                    self._fold(tensors, *names, stride if number == 2 else 1)
                if f"{block}.downsample.0.weight" in tensors:
                    self._fold(tensors, f"{block}.downsample.0", f"{block}.downsample.1", stride)
        except KeyError as error:
            raise FeatureError(f"{name}: tensor {error.args[0]} is missing; fetch the weights again") from None

    @property
    def layers(self) -> tuple[str, ...]:
        """stem, layer1, layer2, layer3, layer4."""
        return tuple(unit.layer for unit in self._units if unit.layer)

    def channels(self, layer: str) -> int:
        """64, 256, 512, 1024 and 2048 in a ResNet-50."""
        last = self.units_to([layer])[-1].convolutions
        return len(self.convolution(last[0] if layer == "stem" else last[2]).bias)

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Images [B, 3, H, W] in [-1, 1] -> {layer: float32 [B, C, H / stride, W / stride]} after the ReLU."""
        found, _ = walk(self.prepare(images), self.units_to(layers), self.convolve, layers)
        return found

    def units_to(self, layers: Sequence[str]) -> tuple[Unit, ...]:
        """The stem and the blocks down to the deepest of these layers."""
        require_layers(self.name, self.layers, layers)
        ends = [number for number, unit in enumerate(self._units) if unit.layer in layers]
        return self._units[: 1 + max(ends)]

    def prepare(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] -> the stem's input."""
        return (images + self.offset).contiguous(memory_format=torch.channels_last)

    def convolution(self, name: str) -> Convolution:
        """A convolution by torchvision's name, such as layer1.0.conv2, with its batch norm."""
        key = name.replace(".", "_")
        return Convolution(self.get_buffer(f"weight_{key}"), self.get_buffer(f"bias_{key}"), self._strides[name])

    def convolve(self, x: Tensor, name: str) -> Tensor:
        """One convolution, before its ReLU."""
        weight, bias, stride = self.convolution(name)
        if weight.shape[-1] == 3 and stride == 1:
            return conv3x3(x, weight, bias)
        return F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    def _fold(self, tensors: Mapping[str, Tensor], convolution: str, norm: str, stride: int) -> None:
        factor = tensors[f"{norm}.weight"].float() * (tensors[f"{norm}.running_var"].float() + _EPSILON).rsqrt()
        weight = tensors[f"{convolution}.weight"].float() * factor.view(-1, 1, 1, 1)
        bias = tensors[f"{norm}.bias"].float() - tensors[f"{norm}.running_mean"].float() * factor
        key = convolution.replace(".", "_")
        self.register_buffer(f"weight_{key}", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer(f"bias_{key}", bias)
        self._strides[convolution] = stride


def read_resnet(name: str, path: Path) -> ResNet:
    """A ResNet from the zoo's file. Raises FeatureError if it cannot be read or holds something else."""
    try:
        return ResNet(name, load_file(path))
    except (OSError, SafetensorError) as error:
        message = f"{name}: {path} is not a readable safetensors file ({error}); fetch the weights again"
        raise FeatureError(message) from None
