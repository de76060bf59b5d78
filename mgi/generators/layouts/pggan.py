"""PGGAN as genforce and pytorch_GAN_zoo publish it, brought to mGANprior's names, which `mgi.generators.pggan` reads.

All three compute the same network and differ in names and in what is folded into the stored numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.pggan import PGGAN, Convolution, pggan_of, read_mganprior

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
    scaled along with their weights.
    """
    scales = sorted({int(key.split(".")[1]) for key in state if key.startswith("scaleLayers.")})
    if scales != list(range(len(scales))):
        raise GeneratorError(f"{name}: expected scaleLayers 0, 1, ..., found {scales}; get the checkpoint again")
    first = _scaled(state, "formatLayer", name, dimensions=2)
    channels = first.bias.numel() // 16
    if first.bias.numel() != 16 * channels:
        raise GeneratorError(f"{name}: formatLayer gives {first.bias.numel()} numbers, expected 4 x 4 per channel")
    # The linear layer as PGGAN's 4 x 4 convolution with full padding: pixel (i, j) sees tap (3 - i, 3 - j).
    weight = first.weight.view(channels, 4, 4, -1).permute(0, 3, 1, 2).flip(2, 3)
    bias = first.bias.view(channels, 4, 4)
    layers = [Convolution(weight, bias), _scaled(state, "groupScale0.0", name)]
    layers += [_scaled(state, f"scaleLayers.{scale}.{number}", name) for scale in scales for number in (0, 1)]
    return pggan_of(layers, _scaled(state, f"toRGBLayers.{len(scales)}", name), name)


def _scaled(state: Mapping[str, Tensor], prefix: str, name: str, dimensions: int = 4) -> Convolution:
    try:
        weight, bias = state[f"{prefix}.module.weight"].float(), state[f"{prefix}.module.bias"].float()
    except KeyError as error:
        raise GeneratorError(f"{name}: tensor {error.args[0]} is missing; the checkpoint is incomplete") from None
    if weight.ndim != dimensions or bias.shape != weight.shape[:1]:
        raise GeneratorError(f"{name}: {prefix} has shapes {list(weight.shape)} and {list(bias.shape)}; get it again")
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise GeneratorError(f"{name}: {prefix} holds NaN or infinity; the checkpoint is damaged, get it again")
    scale = math.sqrt(2 / weight[0].numel())
    return Convolution(weight * scale, bias * scale)
