"""StyleGAN2 as rosinality (`.pt`) and genforce (`.pth`) publish it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from mgi.generators.layouts.reading import MAPPING_RATE, Reader
from mgi.generators.stylegan2 import Modulated, StyleGAN2


def is_rosinality(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is rosinality's generator."""
    return "input.input" in state and "conv1.conv.weight" in state


def read_rosinality(state: Mapping[str, Tensor], name: str) -> StyleGAN2:
    """From `style.{i}`, `input.input`, `conv1`, `convs.{i}`, `to_rgb1`, `to_rgbs.{i}`, `noises.*`, `latent_avg`."""
    reader = Reader(state, name)
    mapping = [reader.linear(f"style.{i}", rate=MAPPING_RATE) for i in reader.numbers("style.", ".weight")]

    def modulated(prefix: str, bias: str, noise: str | None = None) -> Modulated:
        weight = _scaled(reader.take(f"{prefix}.conv.weight", 1, None, None, None, None)[0])
        strength = reader.take(f"{prefix}.noise.weight", 1) if noise else None
        return Modulated(
            weight,
            reader.linear(f"{prefix}.conv.modulation"),
            reader.take(bias).flatten(),
            None if noise is None else reader.take(noise, 1, 1, None, None)[0, 0],
            strength,
        )

    blocks = reader.numbers("convs.", ".conv.weight")
    names = ["conv1", *(f"convs.{i}" for i in blocks)]
    convolutions = [modulated(key, f"{key}.activate.bias", f"noises.noise_{i}") for i, key in enumerate(names)]
    images = ["to_rgb1", *(f"to_rgbs.{i}" for i in reader.numbers("to_rgbs.", ".conv.weight"))]
    to_rgb = [modulated(key, f"{key}.bias") for key in images]
    mean = reader.take("latent_avg") if "latent_avg" in state else None
    return StyleGAN2(name, mapping, reader.take("input.input", 1, None, None, None), convolutions, to_rgb, mean)


def is_genforce(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is genforce's StyleGAN2."""
    return "synthesis.early_layer.const" in state


def read_genforce(state: Mapping[str, Tensor], name: str) -> StyleGAN2:
    """From `mapping.dense{i}`, `truncation.w_avg`, `synthesis.layer{i}`, `synthesis.output{b}`."""
    reader = Reader(state, name)
    mapping = [
        reader.linear(f"mapping.dense{i}", rate=MAPPING_RATE) for i in reader.numbers("mapping.dense", ".weight")
    ]

    def modulated(prefix: str, noisy: bool) -> Modulated:
        weight = _scaled(reader.take(f"{prefix}.weight", None, None, None, None))
        noise = reader.take(f"{prefix}.noise", 1, 1, None, None)[0, 0] if noisy else None
        strength = reader.number(f"{prefix}.noise_strength") if noisy else None
        # Styles are stored around 0 there and used around 1.
        style = reader.linear(f"{prefix}.style", shift=1.0)
        return Modulated(weight, style, reader.take(f"{prefix}.bias", weight.shape[0]), noise, strength)

    layers = [modulated(f"synthesis.layer{i}", noisy=True) for i in reader.numbers("synthesis.layer", ".weight")]
    # Its upsampling convolutions run over mirrored kernels.
    layers = [replace(layer, weight=layer.weight.flip(2, 3)) if i % 2 else layer for i, layer in enumerate(layers)]
    images = [modulated(f"synthesis.output{i}", noisy=False) for i in reader.numbers("synthesis.output", ".weight")]
    const = reader.take("synthesis.early_layer.const", 1, None, None, None)
    mean = reader.take("truncation.w_avg") if "truncation.w_avg" in state else None
    return StyleGAN2(name, mapping, const, layers, images, mean)


def _scaled(weight: Tensor) -> Tensor:
    return weight / math.sqrt(weight[0].numel())
