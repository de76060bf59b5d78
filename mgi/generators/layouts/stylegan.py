"""StyleGAN as genforce publishes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.layouts.reading import MAPPING_RATE, Reader
from mgi.generators.styled import Linear
from mgi.generators.stylegan import StyledLayer, StyleGAN

_GAIN = math.sqrt(2.0)
_MIRRORED_FROM = 128
"""From this resolution on, the published networks upsample by a transposed convolution, which mirrors its kernel."""


def is_genforce(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is genforce's StyleGAN."""
    return "synthesis.layer0.const" in state and "synthesis.layer0.apply_noise.noise" in state


def read_genforce(state: Mapping[str, Tensor], name: str) -> StyleGAN:
    """From `mapping.dense{i}`, `truncation.w_avg`, `synthesis.layer{i}`, `synthesis.output{b}`, `synthesis.lod`."""
    reader = Reader(state, name)
    if "synthesis.lod" in state and (lod := float(reader.number("synthesis.lod"))) != 0:
        raise GeneratorError(f"{name}: lod is {lod:g}, expected 0: it was saved before training its last resolution")
    mapping = [
        reader.linear(f"mapping.dense{i}", gain=_GAIN, rate=MAPPING_RATE)
        for i in reader.numbers("mapping.dense", ".weight")
    ]
    layers = [_layer(reader, f"synthesis.layer{i}", i) for i in reader.numbers("synthesis.layer", ".bias")]
    last = len(layers) // 2 - 1
    weight = reader.take(f"synthesis.output{last}.weight", 3, None, 1, 1)[:, :, 0, 0]
    to_rgb = Linear(weight / math.sqrt(weight.shape[1]), reader.take(f"synthesis.output{last}.bias", 3))
    const = reader.take("synthesis.layer0.const", 1, None, None, None)
    kernel = torch.tensor([1.0, 2.0, 1.0]) / 4
    blur = torch.outer(kernel, kernel)
    mean = reader.take("truncation.w_avg") if "truncation.w_avg" in state else None
    return StyleGAN(name, mapping, const, layers, to_rgb, blur, mean)


def _layer(reader: Reader, prefix: str, index: int) -> StyledLayer:
    bias = reader.take(f"{prefix}.bias", None)
    noise = reader.take(f"{prefix}.apply_noise.noise", 1, 1, None, None)[0, 0]
    weight = None
    if index:
        weight = reader.take(f"{prefix}.weight", len(bias), None, 3, 3)
        weight = weight * (_GAIN / math.sqrt(weight[0].numel()))
        if index % 2 == 0 and noise.shape[-1] >= _MIRRORED_FROM:
            weight = weight.flip(2, 3)
    strength = reader.take(f"{prefix}.apply_noise.weight", len(bias))
    return StyledLayer(weight, reader.linear(f"{prefix}.style"), bias, noise, strength)
