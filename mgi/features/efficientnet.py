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

from mgi.features.base import FeatureError, require_layers
from mgi.features.vgg import fold_input

_EPSILON = 1e-3
_BLOCKS = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""(repeats, stride of the first) of each stage; kernels and widths are read from the tensors."""
_ENDS = {"stride4": 2, "stride8": 4, "stride16": 10, "stride32": 15}
"""Layer -> index of the last block before the next halving."""


@dataclass(frozen=True)
class _Step:
    """One folded convolution: buffers `weight{number}` and `bias{number}`."""

    number: int
    stride: int
    groups: int
    active: bool


class EfficientNetLite0(nn.Module):
    """The convolutions of EfficientNet-Lite0, run only as deep as the deepest layer asked for.

    Args:
        tensors: the state dict that the zoo's entry `efficientnet-lite0` holds.
    """

    offset: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], name: str = "efficientnet-lite0") -> None:
        super().__init__()
        self.name, self.unit = name, 1.0
        strides = [stride if number == 0 else 1 for repeats, stride in _BLOCKS for number in range(repeats)]
        self._count = 0
        try:
            offset, stem = fold_input(tensors["_conv_stem.weight"].float(), "torchvision-rgb", name)
            self.register_buffer("offset", offset)
            self._stem = self._fold({**tensors, "_conv_stem.weight": stem}, "_conv_stem", "_bn0", stride=2)
            self._steps = [self._block(tensors, f"_blocks.{index}.", stride) for index, stride in enumerate(strides)]
        except KeyError as error:
            raise FeatureError(f"{name}: tensor {error.args[0]} is missing; fetch the weights again") from None

    @property
    def layers(self) -> tuple[str, ...]:
        """stride4, stride8, stride16, stride32."""
        return tuple(_ENDS)

    def channels(self, layer: str) -> int:
        """24, 40, 112 and 320."""
        require_layers(self.name, self.layers, [layer])
        return int(self.get_buffer(f"bias{self._steps[_ENDS[layer]][-1].number}").numel())

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Images [B, 3, H, W] in [-1, 1] -> {layer: float32 [B, C, H / stride, W / stride]}."""
        require_layers(self.name, self.layers, layers)
        found: dict[str, Tensor] = {}
        ends = {_ENDS[layer]: layer for layer in layers}
        x = self._run(self._stem, images + self.offset)
        for index, steps in enumerate(self._steps):
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
        weight, bias = self.get_buffer(f"weight{step.number}"), self.get_buffer(f"bias{step.number}")
        size = weight.shape[-1]
        # TensorFlow's "same" padding, which these weights were trained with: the odd pixel goes right and down.
        if step.stride == 2:
            total = size - 2 + x.shape[-1] % 2
            x = F.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))
        x = F.conv2d(
            x, weight, bias, stride=step.stride, padding=0 if step.stride == 2 else size // 2, groups=step.groups
        )
        return F.relu6(x) if step.active else x

    def _block(self, tensors: Mapping[str, Tensor], prefix: str, stride: int) -> list[_Step]:
        steps = []
        if f"{prefix}_expand_conv.weight" in tensors:
            steps.append(self._fold(tensors, f"{prefix}_expand_conv", f"{prefix}_bn0"))
        depthwise = f"{prefix}_depthwise_conv"
        groups = len(tensors[f"{depthwise}.weight"])
        steps.append(self._fold(tensors, depthwise, f"{prefix}_bn1", stride=stride, groups=groups))
        steps.append(self._fold(tensors, f"{prefix}_project_conv", f"{prefix}_bn2", active=False))
        return steps

    def _fold(
        self,
        tensors: Mapping[str, Tensor],
        convolution: str,
        norm: str,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> _Step:
        factor = tensors[f"{norm}.weight"].float() * (tensors[f"{norm}.running_var"].float() + _EPSILON).rsqrt()
        weight = tensors[f"{convolution}.weight"].float() * factor.view(-1, 1, 1, 1)
        bias = tensors[f"{norm}.bias"].float() - tensors[f"{norm}.running_mean"].float() * factor
        step = _Step(self._count, stride, groups, active)
        self._count += 1
        self.register_buffer(f"weight{step.number}", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer(f"bias{step.number}", bias)
        return step


def read_efficientnet(name: str, path: Path) -> EfficientNetLite0:
    """EfficientNet-Lite0 from the zoo's file. Raises FeatureError if it cannot be read or holds something else."""
    try:
        return EfficientNetLite0(load_file(path), name)
    except (OSError, SafetensorError) as error:
        message = f"{name}: {path} is not a readable safetensors file ({error}); fetch the weights again"
        raise FeatureError(message) from None
