"""Any StyleGAN2 as a state dict of rosinality's layout, the counterpart of `stylegan2.read_rosinality`."""

from __future__ import annotations

import math

from torch import Tensor

from mgi.generators.layouts.reading import MAPPING_RATE
from mgi.generators.stylegan2 import StyleGAN2


def as_rosinality(generator: StyleGAN2) -> dict[str, Tensor]:
    """Its tensors under the names of rosinality, without the scales that are folded into them here.

    The bound on features that networks trained in half precision have is left out: the layout has no place for it.
    """
    found: dict[str, Tensor] = {"input.input": generator.const}
    mean = generator.w_mean
    if isinstance(mean, Tensor) and mean.ndim == 1:
        found["latent_avg"] = mean

    def linear(to: str, weight: Tensor, bias: Tensor, rate: float = 1.0) -> None:
        found[f"{to}.weight"] = weight * math.sqrt(weight.shape[1]) / rate
        found[f"{to}.bias"] = bias / rate

    def modulated(to: str, prefix: str) -> None:
        weight = generator.get_buffer(f"{prefix}_weight")
        found[f"{to}.conv.weight"] = (weight * math.sqrt(weight[0].numel()))[None]
        style, bias = (generator.get_buffer(f"{prefix}_style_{kind}") for kind in ("weight", "bias"))
        linear(f"{to}.conv.modulation", style, bias)

    for index in range(generator._depth):
        weight, bias = (generator.get_buffer(f"mapping_{kind}{index}") for kind in ("weight", "bias"))
        linear(f"style.{index + 1}", weight, bias, MAPPING_RATE)
    for index in range(generator.layers):
        to = f"convs.{index - 1}" if index else "conv1"
        modulated(to, f"conv{index}")
        found[f"{to}.activate.bias"] = generator.get_buffer(f"conv{index}_bias") / math.sqrt(2.0)  # of the activation
        found[f"{to}.noise.weight"] = generator.get_buffer(f"conv{index}_strength").view(1)
        found[f"noises.noise_{index}"] = generator.get_buffer(f"conv{index}_noise")[None, None]
    for index in range((generator.layers + 1) // 2):
        to = f"to_rgbs.{index - 1}" if index else "to_rgb1"
        modulated(to, f"rgb{index}")
        found[f"{to}.bias"] = generator.get_buffer(f"rgb{index}_bias").view(1, 3, 1, 1)
    return found
