"""PGGAN, StyleGAN and StyleGAN2 as NVIDIA's TensorFlow code names their variables."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.layouts import stylegan as stylegan_layouts
from mgi.generators.layouts.pggan import linear_as_convolution
from mgi.generators.layouts.reading import MAPPING_RATE, Reader
from mgi.generators.layouts.variants import clamp_of, refuse_variants
from mgi.generators.pggan import PGGAN, Convolution
from mgi.generators.pickled.records import Network, mapping
from mgi.generators.styled import Linear
from mgi.generators.stylegan import StyleGAN
from mgi.generators.stylegan2 import Modulated, StyleGAN2

CLAMP = "synthesis/conv_clamp"
"""Our name for the bound of all convolutions, which a network keeps among its arguments."""

_GAIN = math.sqrt(2.0)


def state_of(network: Network, name: str) -> dict[str, Tensor]:
    """A pickled network's variables, and under `CLAMP` the bound that its convolutions clamp to, if they do.

    Raises:
        GeneratorError: it clamps at something that is not a positive number.
    """
    state = {key: torch.from_numpy(np.array(value)) for key, value in network.variables().items()}
    clamp = clamp_of([mapping(network.state.get("static_kwargs")).get("conv_clamp")], name)
    return state if clamp is None else state | {CLAMP: torch.tensor(clamp)}


def is_stylegan2(state: Mapping[str, Any]) -> bool:
    """Whether these are StyleGAN2's variables in TensorFlow."""
    return "synthesis/4x4/Conv/mod_weight" in state


def is_stylegan(state: Mapping[str, Any]) -> bool:
    """Whether these are StyleGAN's variables in TensorFlow."""
    return "synthesis/4x4/Const/StyleMod/weight" in state


def is_pggan(state: Mapping[str, Any]) -> bool:
    """Whether these are PGGAN's variables in TensorFlow."""
    return "4x4/Dense/weight" in state


def _sizes(reader: Reader, before: str) -> list[int]:
    pattern = re.compile(re.escape(before) + r"(\d{1,5})x\d+/")
    sizes = sorted({int(match[1]) for key in reader.state if (match := pattern.match(key))})
    if not sizes or sizes != [4 << step for step in range(len(sizes))]:
        raise GeneratorError(f"{reader.name}: expected resolutions 4, 8, 16, ..., found {sizes}")
    return sizes


def _kernel(reader: Reader, key: str) -> Tensor:
    """[k, k, I, O] -> [O, I, k, k]."""
    return reader.take(key, None, None, None, None).permute(3, 2, 0, 1)


def _dense(reader: Reader, prefix: str, kind: str = "", rate: float = 1.0, shift: float = 0.0) -> Linear:
    weight = reader.take(f"{prefix}/{kind}weight", None, None).t()
    bias = reader.take(f"{prefix}/{kind}bias", len(weight))
    return Linear(weight * (rate / math.sqrt(weight.shape[1])), bias * rate + shift)


def _mapping_of(reader: Reader) -> list[Linear]:
    numbers = reader.numbers("mapping/Dense", "/weight")
    return [_dense(reader, f"mapping/Dense{i}", rate=MAPPING_RATE) for i in numbers]


def read_stylegan2(state: Mapping[str, Tensor], name: str) -> StyleGAN2:
    """From `synthesis/{res}x{res}/{Conv,Conv0_up,Conv1,ToRGB}`, `synthesis/noise{i}`, `mapping/Dense{i}`."""
    reader = Reader(state, name)
    sizes = _sizes(reader, "synthesis/")
    refuse_variants(
        name,
        sizes,
        images=[size for size in sizes if f"synthesis/{size}x{size}/ToRGB/weight" in state],
        residual=any(key.endswith("/Skip/weight") for key in state),
        conditional=any(key.startswith(("mapping/LabelEmbed/", "mapping/LabelConcat/")) for key in state),
    )
    layers: list[Modulated] = []
    images: list[Modulated] = []

    def modulated(prefix: str, noise: Tensor | None, strength: Tensor | None, mirrored: bool) -> Modulated:
        weight = _kernel(reader, f"{prefix}/weight")
        weight = weight / math.sqrt(weight[0].numel())
        if mirrored:  # a transposed convolution flips its kernel
            weight = weight.flip(2, 3)
        style = _dense(reader, prefix, "mod_", shift=1.0)
        return Modulated(weight, style, reader.take(f"{prefix}/bias", len(weight)), noise, strength)

    for size in sizes:
        for kind in ("Conv0_up", "Conv1") if size > 4 else ("Conv",):
            prefix = f"synthesis/{size}x{size}/{kind}"
            noise = reader.take(f"synthesis/noise{len(layers)}", 1, 1, size, size)[0, 0]
            strength = reader.number(f"{prefix}/noise_strength")
            layers.append(modulated(prefix, noise, strength, mirrored=kind == "Conv0_up"))
        images.append(modulated(f"synthesis/{size}x{size}/ToRGB", None, None, mirrored=False))
    const = reader.take("synthesis/4x4/Const/const", 1, None, 4, 4)
    mean = reader.take("dlatent_avg") if "dlatent_avg" in reader.state else None
    clamp = clamp_of(reader.take(CLAMP).flatten().tolist(), name) if CLAMP in state else None
    return StyleGAN2(reader.name, _mapping_of(reader), const, layers, images, mean, clamp)


def read_stylegan(variables: Mapping[str, Tensor], name: str) -> StyleGAN:
    """By genforce's names, which are the same numbers in PyTorch's order."""
    reader = Reader(variables, name)
    state: dict[str, Tensor] = {}
    count = 0
    for size in _sizes(reader, "synthesis/"):
        for kind in ("Conv0_up", "Conv1") if size > 4 else ("Const", "Conv"):
            prefix, layer = f"synthesis/{size}x{size}/{kind}", f"synthesis.layer{count}"
            if kind == "Const":
                state[f"{layer}.const"] = reader.take(f"{prefix}/const", 1, None, 4, 4)
            else:
                state[f"{layer}.weight"] = _kernel(reader, f"{prefix}/weight")
            state[f"{layer}.bias"] = reader.take(f"{prefix}/bias", None)
            state[f"{layer}.apply_noise.weight"] = reader.take(f"{prefix}/Noise/weight", None)
            state[f"{layer}.apply_noise.noise"] = reader.take(f"synthesis/noise{count}", 1, 1, size, size)
            state[f"{layer}.style.weight"] = reader.take(f"{prefix}/StyleMod/weight", None, None).t()
            state[f"{layer}.style.bias"] = reader.take(f"{prefix}/StyleMod/bias", None)
            count += 1
    last = count // 2 - 1
    state[f"synthesis.output{last}.weight"] = _kernel(reader, "synthesis/ToRGB_lod0/weight")
    state[f"synthesis.output{last}.bias"] = reader.take("synthesis/ToRGB_lod0/bias", 3)
    for number in reader.numbers("mapping/Dense", "/weight"):
        state[f"mapping.dense{number}.weight"] = reader.take(f"mapping/Dense{number}/weight", None, None).t()
        state[f"mapping.dense{number}.bias"] = reader.take(f"mapping/Dense{number}/bias", None)
    if "dlatent_avg" in reader.state:
        state["truncation.w_avg"] = reader.take("dlatent_avg")
    if "synthesis/lod" in reader.state:
        state["synthesis.lod"] = reader.take("synthesis/lod")
    return stylegan_layouts.read_genforce(state, reader.name)


def read_pggan(state: Mapping[str, Tensor], name: str) -> PGGAN:
    """From `{res}x{res}/{Dense,Conv,Conv0,Conv0_up,Conv1}` and `ToRGB_lod0`."""
    reader = Reader(state, name)
    if "lod" in reader.state and (lod := float(reader.number("lod"))) != 0:
        raise GeneratorError(f"{reader.name}: lod is {lod:g}, expected 0: its last resolution was not trained yet")
    weight = reader.take("4x4/Dense/weight", None, None)  # [z, 16 C]
    channels = weight.shape[1] // 16
    if weight.shape[1] != 16 * channels:
        raise GeneratorError(f"{reader.name}: 4x4/Dense gives {weight.shape[1]} numbers, expected 16 per channel")
    layers = [
        _equalised(linear_as_convolution(weight.t()), reader.take("4x4/Dense/bias", channels)),
        _tensorflow_layer(reader, "4x4/Conv"),
    ]
    for size in _sizes(reader, "")[1:]:
        fused = f"{size}x{size}/Conv0_up/weight" in reader.state
        layers.append(_tensorflow_layer(reader, f"{size}x{size}/{'Conv0_up' if fused else 'Conv0'}", fused))
        layers.append(_tensorflow_layer(reader, f"{size}x{size}/Conv1"))
    rgb = _kernel(reader, "ToRGB_lod0/weight")
    to_rgb = Convolution(rgb / math.sqrt(rgb.shape[1]), reader.take("ToRGB_lod0/bias", 3))
    return PGGAN(layers, to_rgb, reader.name)


def _tensorflow_layer(reader: Reader, prefix: str, fused: bool = False) -> Convolution:
    if fused:  # a transposed convolution: stored as [k, k, O, I], and flipped
        weight = reader.take(f"{prefix}/weight", 3, 3, None, None).permute(2, 3, 0, 1).flip(2, 3)
    else:
        weight = _kernel(reader, f"{prefix}/weight")
    return _equalised(weight, reader.take(f"{prefix}/bias", len(weight)))


def _equalised(weight: Tensor, bias: Tensor) -> Convolution:
    return Convolution(weight * (_GAIN / math.sqrt(weight[0].numel())), bias)
