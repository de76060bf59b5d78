"""VGG-16 and VGG-19 convolutions as a frozen feature network; layers are named relu{block}_{convolution}."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mgi.features.base import FeatureError, Precision, require_layers
from mgi.winograd import conv3x3

Step = tuple[int, int]
"""(block, index) of a convolution."""

_CONVOLUTION = re.compile(r"conv(\d)_(\d)\.weight")
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
PIXEL_UNITS = {"caffe-bgr": 255 * 0.226, "torchvision-rgb": 1.0}
"""Standard deviation of ImageNet's pixels under each convention (`Backbone.unit`)."""
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG(nn.Module):
    """The convolutions of a VGG, run only as deep as the deepest layer asked for.

    Args:
        name: what messages call it.
        tensors: `conv{b}_{i}.weight` [O, I, 3, 3] and `.bias` [O]; depth and widths are read from them.
        convention: what pixels the weights expect. `caffe-bgr`: BGR in 0..255 minus the ImageNet mean.
            `torchvision-rgb`: RGB in 0..1 minus mean, divided by standard deviation.
        precision: bf16 holds the weights as bfloat16 (autocast would convert frozen weights again at every call).

    Images [-1, 1] are brought to the convention by one addition: scale and channel order are folded into the first
    convolution. The shift cannot be folded, because the zero padding must stay the zero of the network's own scale.
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
        self._steps = tuple(found)
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
        return tuple(f"relu{block}_{index}" for block, index in self._steps)

    def channels(self, layer: str) -> int:
        """Channels of a layer's feature."""
        require_layers(self.name, self.layers, [layer])
        return int(self.get_buffer(f"bias{layer.removeprefix('relu')}").numel())

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Images [B, 3, H, W] in [-1, 1] -> {layer: float32 [B, C, H / 2^(b-1), W / 2^(b-1)]} after the ReLU."""
        require_layers(self.name, self.layers, layers)
        found, _ = walk(self.prepare(images), self.steps_to(layers), self.convolve, layers)
        return {layer: feature.float() for layer, feature in found.items()}

    def steps_to(self, layers: Sequence[str]) -> tuple[Step, ...]:
        """(block, index) of the convolutions down to the deepest of these layers."""
        return self._steps[: 1 + max(self.layers.index(layer) for layer in layers)]

    def prepare(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] -> the first convolution's input."""
        return (images + self.offset).to(self._dtype).contiguous(memory_format=torch.channels_last)

    def convolution(self, step: Step) -> tuple[Tensor, Tensor]:
        """Weight [O, I, 3, 3] and bias [O] of a convolution."""
        block, index = step
        return self.get_buffer(f"weight{block}_{index}"), self.get_buffer(f"bias{block}_{index}")

    def convolve(self, x: Tensor, step: Step) -> Tensor:
        """One convolution, before its ReLU."""
        return conv3x3(x, *self.convolution(step))


def walk(
    x: Tensor, steps: Sequence[Step], convolve: Callable[[Tensor, Step], Tensor], layers: Sequence[str]
) -> tuple[dict[str, Tensor], Tensor]:
    """Through consecutive convolutions of a VGG, their ReLUs, and the pooling before each block but the first.

    Args:
        x: input of the first step, or of the pooling before it.
        steps: (block, index) of the convolutions.
        convolve: applies one of them.
        layers: what to keep; those that are not among the steps are left out.

    Returns:
        {layer: feature}, in the order of `layers`, and the feature where the walk ended.
    """
    found: dict[str, Tensor] = {}
    for block, index in steps:
        if index == 1 and block > 1:
            x = F.max_pool2d(x, 2)
        # In place: the backward pass of ReLU needs its output only, that of a convolution its input.
        x = convolve(x, (block, index)).relu_()
        if (layer := f"relu{block}_{index}") in layers:
            found[layer] = x
    return {layer: found[layer] for layer in layers if layer in found}, x


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
    """(offset [1, 3, 1, 1] to add to RGB in [-1, 1], first weight for what that gives)."""
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
