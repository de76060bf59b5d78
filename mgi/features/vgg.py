"""VGG-16 and VGG-19 convolutions as a frozen feature network; layers are named relu{block}_{convolution}."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mgi.devices import Precision
from mgi.features.base import FeatureError, require_layers
from mgi.features.chain import Convolution, Convolve, walk
from mgi.winograd import conv3x3

_CONVOLUTION = re.compile(r"conv(\d)_(\d)\.weight")
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
PIXEL_UNITS = {"caffe-bgr": 255 * 0.226, "torchvision-rgb": 1.0}
"""Standard deviation of ImageNet's pixels under each convention (`Backbone.unit`)."""
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class VGGStep:
    """One convolution with its ReLU, and the pooling before it where a block begins."""

    block: int
    index: int

    @property
    def name(self) -> str:
        """conv1_1, conv1_2, ..."""
        return f"conv{self.block}_{self.index}"

    @property
    def layer(self) -> str:
        """relu1_1, relu1_2, ..."""
        return f"relu{self.block}_{self.index}"

    @property
    def convolutions(self) -> tuple[str, ...]:
        """The convolution that it is named after."""
        return (self.name,)

    def run(self, x: Tensor, convolve: Convolve) -> Tensor:
        """Pooling, convolution, ReLU."""
        if self.index == 1 and self.block > 1:
            x = F.max_pool2d(x, 2)
        # In place: the backward pass of ReLU needs its output only, that of a convolution its input.
        return convolve(x, self.name).relu_()


class VGG(nn.Module):
    """The convolutions of a VGG, run only as deep as the deepest layer asked for.

    Args:
        name: what messages call it.
        tensors: `conv{b}_{i}.weight` [O, I, 3, 3] and `.bias` [O]; depth and widths are read from them.
        convention: what pixels the weights expect. `caffe-bgr`: BGR in 0..255 minus the ImageNet mean.
            `torchvision-rgb`: RGB in 0..1 minus mean, divided by standard deviation.
        precision: bf16 holds the weights as bfloat16 (autocast would convert frozen weights again at every call).

    Images in [-1, 1] are converted to the convention by one addition: scale and channel order are folded into the first
    convolution. The shift cannot be folded, because zero padding must mean zero on the network's own scale.
    """

    offset: Tensor

    def __init__(
        self, name: str, tensors: Mapping[str, Tensor], convention: str, precision: Precision = "fp32"
    ) -> None:
        super().__init__()
        self.name = name
        found = sorted((int(m[1]), int(m[2])) for key in tensors if (m := _CONVOLUTION.fullmatch(key)))
        if not found or found[0] != (1, 1):
            raise FeatureError(f"{name}: expected tensors conv1_1.weight, conv1_1.bias, ...; found {list(tensors)[:3]}")
        self._steps = tuple(VGGStep(block, index) for block, index in found)
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        for block, index in found:
            for kind in ("weight", "bias"):
                if f"conv{block}_{index}.{kind}" not in tensors:
                    raise FeatureError(f"{name}: tensor conv{block}_{index}.{kind} is missing; fetch the weights again")
        self.unit = PIXEL_UNITS.get(convention, 1.0)
        offset, first = fold_input(tensors["conv1_1.weight"].float(), convention, name)
        self.register_buffer("offset", offset)
        for block, index in found:
            weight = first if (block, index) == (1, 1) else tensors[f"conv{block}_{index}.weight"]
            weight = weight.to(self._dtype).contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"weight{block}_{index}", weight)
            self.register_buffer(f"bias{block}_{index}", tensors[f"conv{block}_{index}.bias"].to(self._dtype).clone())

    @property
    def layers(self) -> tuple[str, ...]:
        """relu1_1, relu1_2, ... as deep as the weights go."""
        return tuple(step.layer for step in self._steps)

    def channels(self, layer: str) -> int:
        """Channels of a layer's feature."""
        require_layers(self.name, self.layers, [layer])
        return int(self.get_buffer(f"bias{layer.removeprefix('relu')}").numel())

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Images [B, 3, H, W] in [-1, 1] -> {layer: float32 [B, C, H / 2^(b-1), W / 2^(b-1)]} after the ReLU."""
        found, _ = walk(self.prepare(images), self.units_to(layers), self.convolve, layers)
        return {layer: feature.float() for layer, feature in found.items()}

    def units_to(self, layers: Sequence[str]) -> tuple[VGGStep, ...]:
        """The convolutions down to the deepest of these layers."""
        require_layers(self.name, self.layers, layers)
        return self._steps[: 1 + max(self.layers.index(layer) for layer in layers)]

    def prepare(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] -> the first convolution's input."""
        return (images + self.offset).to(self._dtype).contiguous(memory_format=torch.channels_last)

    def convolution(self, name: str) -> Convolution:
        """Weight [O, I, 3, 3] and bias [O] of a convolution, conv1_1 to conv5_4."""
        number = name.removeprefix("conv")
        return Convolution(self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}"), 1)

    def convolve(self, x: Tensor, name: str) -> Tensor:
        """One convolution, before its ReLU."""
        weight, bias, _ = self.convolution(name)
        return conv3x3(x, weight, bias)


def read_vgg(name: str, path: Path, precision: Precision = "fp32") -> VGG:
    """A VGG from a safetensors file whose metadata `input` names the pixel convention.

    Raises:
        FeatureError: the file cannot be read, or holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            convention = (file.metadata() or {}).get("input", "")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        message = f"{name}: {path} is not a readable safetensors file ({error}); fetch the weights again"
        raise FeatureError(message) from None
    return VGG(name, tensors, convention, precision)


def fold_input(weight: Tensor, convention: str, name: str) -> tuple[Tensor, Tensor]:
    """(offset [1, 3, 1, 1] to add to RGB in [-1, 1], first weight for the sum)."""
    if convention == "caffe-bgr":
        # 127.5 (x + 1) - mean = 127.5 (x + 1 - mean / 127.5); flipping the input channels turns BGR weights to RGB.
        mean = torch.tensor(_CAFFE_MEAN_BGR).flip(0).view(1, 3, 1, 1)
        return 1 - mean / 127.5, weight.flip(1) * 127.5
    if convention == "torchvision-rgb":
        # ((x + 1) / 2 - mean) / std = (x + 1 - 2 mean) / (2 std)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_IMAGENET_MEAN, _IMAGENET_STD))
        return 1 - 2 * mean, weight / (2 * std)
    raise FeatureError(
        f"{name}: metadata 'input' must be caffe-bgr or torchvision-rgb, found {convention!r}; fetch the weights again"
    )
