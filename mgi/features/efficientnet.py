"""EfficientNet-Lite0 as a frozen feature network: one layer per halving of the image, `stride4` to `stride32`.

Batch normalisation is folded into the convolutions, which have few channels: a quarter of VGG's cost at 64 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mgi.depthwise import depthwise
from mgi.features.base import FeatureError, require_layers
from mgi.features.vgg import fold_input

_EPSILON = 1e-3
_BLOCKS = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""(repeats, stride of the first) of each stage; kernels and widths are read from the tensors."""
_STRIDES = tuple(stride if number == 0 else 1 for repeats, stride in _BLOCKS for number in range(repeats))
_ENDS = {"stride4": 2, "stride8": 4, "stride16": 10, "stride32": 15}
"""Layer -> index of the last block before the next halving."""


@dataclass(frozen=True)
class _Step:
    """One folded convolution: parameters `weight{number}` and `bias{number}`."""

    number: int
    stride: int
    groups: int
    active: bool


class Lite0(nn.Module):
    """The convolutions of EfficientNet-Lite0, run only as deep as the deepest layer asked for.

    Args:
        folded: what `folded` made, or the state dict of such a module: weight{i} and bias{i} of every convolution, and
            the offset of its input.
    """

    offset: Tensor

    def __init__(self, folded: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("offset", folded["offset"].float().clone())
        self._count = 0
        self._stem = self._step(folded, stride=2)
        self._blocks = [self._block(folded, index, stride) for index, stride in enumerate(_STRIDES)]

    def forward(self, images: Tensor, layers: Sequence[str] = tuple(_ENDS)) -> dict[str, Tensor]:
        """Images [B, 3, H, W] in [-1, 1] -> {layer: float32 [B, C, H / stride, W / stride]}."""
        found: dict[str, Tensor] = {}
        ends = {_ENDS[layer]: layer for layer in layers}
        x = self._run(self._stem, images + self.offset)
        for index, steps in enumerate(self._blocks):
            y = x
            for step in steps:
                y = self._run(step, y)
            x = x + y if y.shape == x.shape else y
            if index in ends:
                found[ends[index]] = x
                if len(found) == len(ends):
                    break
        return {layer: found[layer] for layer in layers}

    def _run(self, step: _Step, x: Tensor) -> Tensor:
        weight, bias = self.get_parameter(f"weight{step.number}"), self.get_parameter(f"bias{step.number}")
        size = weight.shape[-1]
        # TensorFlow's "same" padding, which these weights were trained with: the odd pixel goes right and down.
        if step.stride == 2:
            total = size - 2 + x.shape[-1] % 2
            x = F.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))
        padding = 0 if step.stride == 2 else size // 2
        if step.groups > 1:
            x = depthwise(x, weight, bias, step.stride, padding)
        else:
            x = F.conv2d(x, weight, bias, stride=step.stride, padding=padding)
        return F.relu6(x) if step.active else x

    def _block(self, folded: Mapping[str, Tensor], index: int, stride: int) -> list[_Step]:
        expand = [self._step(folded)] if index else []
        return [*expand, self._step(folded, stride), self._step(folded, active=False)]

    def _step(self, folded: Mapping[str, Tensor], stride: int = 1, active: bool = True) -> _Step:
        number = self._count
        self._count += 1
        weight, bias = folded[f"weight{number}"].float(), folded[f"bias{number}"].float()
        self.register_parameter(f"weight{number}", nn.Parameter(weight.clone(memory_format=torch.channels_last)))
        self.register_parameter(f"bias{number}", nn.Parameter(bias.clone()))
        return _Step(number, stride, len(weight) if weight.shape[1] == 1 else 1, active)


class EfficientNetLite0(Lite0):
    """The network as a frozen `Backbone`.

    Args:
        tensors: the state dict that the zoo's entry `efficientnet-lite0` holds.
    """

    def __init__(self, tensors: Mapping[str, Tensor], name: str = "efficientnet-lite0") -> None:
        super().__init__(folded(tensors, name))
        self.name, self.unit = name, 1.0
        self.requires_grad_(False)

    @property
    def layers(self) -> tuple[str, ...]:
        """stride4, stride8, stride16, stride32."""
        return tuple(_ENDS)

    def channels(self, layer: str) -> int:
        """24, 40, 112 and 320."""
        require_layers(self.name, self.layers, [layer])
        return int(self.get_parameter(f"bias{self._blocks[_ENDS[layer]][-1].number}").numel())

    def forward(self, images: Tensor, layers: Sequence[str] = tuple(_ENDS)) -> dict[str, Tensor]:
        """Images [B, 3, H, W] in [-1, 1] -> {layer: float32 [B, C, H / stride, W / stride]}."""
        require_layers(self.name, self.layers, layers)
        return super().forward(images, layers)


def folded(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Weights and biases of all convolutions, in the order that they run, with batch normalisation folded in.

    Raises:
        FeatureError: a tensor is missing.
    """
    names = [("_conv_stem", "_bn0")]
    for index in range(len(_STRIDES)):
        prefix = f"_blocks.{index}."
        expand = [(f"{prefix}_expand_conv", f"{prefix}_bn0")] if index else []
        names += [*expand, (f"{prefix}_depthwise_conv", f"{prefix}_bn1"), (f"{prefix}_project_conv", f"{prefix}_bn2")]
    found: dict[str, Tensor] = {}
    try:
        found["offset"], stem = fold_input(tensors["_conv_stem.weight"].float(), "torchvision-rgb", name)
        for number, (convolution, norm) in enumerate(names):
            weight = tensors[f"{convolution}.weight"].float() if number else stem
            factor = tensors[f"{norm}.weight"].float() * (tensors[f"{norm}.running_var"].float() + _EPSILON).rsqrt()
            found[f"weight{number}"] = weight * factor.view(-1, 1, 1, 1)
            found[f"bias{number}"] = tensors[f"{norm}.bias"].float() - tensors[f"{norm}.running_mean"].float() * factor
    except KeyError as error:
        raise FeatureError(f"{name}: tensor {error.args[0]} is missing; fetch the weights again") from None
    return found


def read_efficientnet(name: str, path: Path) -> EfficientNetLite0:
    """EfficientNet-Lite0 from the zoo's file. Raises FeatureError if it cannot be read or holds something else."""
    try:
        return EfficientNetLite0(load_file(path), name)
    except (OSError, SafetensorError) as error:
        message = f"{name}: {path} is not a readable safetensors file ({error}); fetch the weights again"
        raise FeatureError(message) from None
