"""PGGAN as genforce and pytorch_GAN_zoo publish it, renamed to mGANprior's names, which `layouts.mganprior` reads.

All three compute the same network; they differ in names and in what is folded into the stored numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.layouts.mganprior import read_mganprior
from mgi.generators.layouts.reading import Reader
from mgi.generators.pggan import PGGAN, Convolution

_GENFORCE = re.compile(r"(layer|output)(\d+)\.(weight|bias)")


def is_genforce(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is genforce's PGGAN."""
    return "layer0.weight" in state and "layer0.bias" in state and "output0.weight" in state


def read_genforce(state: Mapping[str, Tensor], name: str) -> PGGAN:
    """A PGGAN from `layer{i}.weight`, `layer{i}.bias`, `output{b}.*` and `lod`."""
    kinds = {"weight": "conv.weight", "bias": "wscale.bias"}
    renamed = {}
    for key, tensor in state.items():
        match = _GENFORCE.fullmatch(key)
        renamed[f"{match[1]}{match[2]}.{kinds[match[3]]}" if match else key] = tensor
    return read_mganprior(renamed, name)


def is_ganzoo(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is the PGGAN of pytorch_GAN_zoo."""
    return "formatLayer.module.weight" in state and "groupScale0.0.module.weight" in state


def read_ganzoo(state: Mapping[str, Tensor], name: str) -> PGGAN:
    """A PGGAN from `formatLayer`, `groupScale0`, `scaleLayers.{s}.{j}` and `toRGBLayers.{s}`.

    There the first layer is linear, every weight's scale is sqrt(2 / fan-in), also before the image, and biases are
    scaled together with their weights.
    """
    scales = sorted({int(match[1]) for key in state if (match := re.match(r"scaleLayers\.(\d{1,5})\.", key))})
    if scales != list(range(len(scales))):
        raise GeneratorError(f"{name}: expected scaleLayers 0, 1, ..., found {scales}; get the checkpoint again")
    first = _scaled(state, "formatLayer", name, dimensions=2)
    channels = first.bias.numel() // 16
    if first.bias.numel() != 16 * channels:
        raise GeneratorError(f"{name}: formatLayer gives {first.bias.numel()} numbers, expected 4 x 4 per channel")
    bias = first.bias.view(channels, 4, 4)
    layers = [Convolution(linear_as_convolution(first.weight), bias), _scaled(state, "groupScale0.0", name)]
    layers += [_scaled(state, f"scaleLayers.{scale}.{number}", name) for scale in scales for number in (0, 1)]
    return PGGAN(layers, _scaled(state, f"toRGBLayers.{len(scales)}", name), name)


def linear_as_convolution(weight: Tensor) -> Tensor:
    """A first layer [16 C, D] that is linear, as PGGAN's 4 x 4 convolution with full padding [C, D, 4, 4].

    Pixel (i, j) sees tap (3 - i, 3 - j).
    """
    return weight.reshape(len(weight) // 16, 4, 4, -1).permute(0, 3, 1, 2).flip(2, 3)


def _scaled(state: Mapping[str, Tensor], prefix: str, name: str, dimensions: int = 4) -> Convolution:
    reader = Reader(state, name)
    weight, bias = reader.take(f"{prefix}.module.weight"), reader.take(f"{prefix}.module.bias")
    if weight.ndim != dimensions or bias.shape != weight.shape[:1]:
        raise GeneratorError(f"{name}: {prefix} has shapes {list(weight.shape)} and {list(bias.shape)}; get it again")
    scale = math.sqrt(2 / weight[0].numel())
    return Convolution(weight * scale, bias * scale)
