"""NVIDIA's own files: StyleGAN2 in PyTorch (stylegan2-ada-pytorch), and PGGAN, StyleGAN and StyleGAN2 in TensorFlow."""

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
from mgi.generators.pggan import PGGAN, Convolution, pggan_of
from mgi.generators.pickles import Network, Persistent
from mgi.generators.styled import Linear
from mgi.generators.stylegan import StyleGAN
from mgi.generators.stylegan2 import Modulated, StyleGAN2

_GAIN = math.sqrt(2.0)


def tensors_of(content: Any, name: str) -> dict[str, Tensor]:
    """Names and tensors of the generator in a pickle that `read_pickle` read: `G_ema` of a dict, or Gs of (G, D, Gs).

    Raises:
        GeneratorError: there is none.
    """
    if isinstance(content, Mapping):
        content = content.get("G_ema") or content.get("G")
    if isinstance(content, list | tuple) and content:
        content = content[-1]
    if isinstance(content, Persistent):
        return content.tensors()
    if isinstance(content, Network):
        return {key: torch.from_numpy(np.array(value)) for key, value in content.variables().items()}
    raise GeneratorError(f"{name} holds no generator; expected a dict with G_ema, or (G, D, Gs)")


# ---------------------------------------------------------------------- PyTorch


def is_stylegan3(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is a StyleGAN3 generator."""
    return any(key.startswith(("synthesis.L0_", "synthesis.input.")) for key in state)


def refuse_stylegan3(state: Mapping[str, Tensor], name: str) -> StyleGAN2:
    """Raises GeneratorError: its layers alias-free resample between all of them, so no layer can be composed at."""
    raise GeneratorError(f"{name} is a StyleGAN3 generator, whose layers cannot be composed; use a StyleGAN2")


def is_stylegan2(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is the generator of stylegan2-ada-pytorch."""
    return "synthesis.b4.const" in state and "mapping.fc0.weight" in state


def read_stylegan2(state: Mapping[str, Tensor], name: str) -> StyleGAN2:
    """From `mapping.fc{i}`, `mapping.w_avg`, `synthesis.b{res}.{const,conv0,conv1,torgb}`."""
    reader = Reader(state, name)
    if any(".skip.weight" in key for key in state):
        raise GeneratorError(f"{name} has residual blocks; expected a generator with skip connections")
    if any(key.startswith("mapping.embed.") for key in state):
        raise GeneratorError(f"{name} is conditional on labels; expected an unconditional generator")
    mapping = [reader.linear(f"mapping.fc{i}", rate=MAPPING_RATE) for i in reader.numbers("mapping.fc", ".weight")]
    sizes = sorted({int(match[1]) for key in state if (match := re.match(r"synthesis\.b(\d+)\.", key))})
    layers, images = [], []
    for size in sizes:
        block = f"synthesis.b{size}"
        for kind in ("conv0", "conv1") if size > sizes[0] else ("conv1",):
            prefix = f"{block}.{kind}"
            weight = reader.take(f"{prefix}.weight", None, None, 3, 3)  # demodulated, so it has no scale
            noise = reader.take(f"{prefix}.noise_const", size, size)
            strength = reader.take(f"{prefix}.noise_strength")
            bias = reader.take(f"{prefix}.bias", len(weight))
            layers.append(Modulated(weight, reader.linear(f"{prefix}.affine"), bias, noise, strength))
        weight = reader.take(f"{block}.torgb.weight", 3, None, 1, 1)
        style = reader.linear(f"{block}.torgb.affine")
        images.append(Modulated(weight / math.sqrt(weight.shape[1]), style, reader.take(f"{block}.torgb.bias", 3)))
    const = reader.take(f"synthesis.b{sizes[0]}.const", None, None, None)[None]
    mean = reader.take("mapping.w_avg") if "mapping.w_avg" in state else None
    return StyleGAN2(name, mapping, const, layers, images, mean)


# ---------------------------------------------------------------------- TensorFlow


def is_tensorflow_stylegan2(state: Mapping[str, Any]) -> bool:
    """Whether these are StyleGAN2's variables in TensorFlow."""
    return "synthesis/4x4/Conv/mod_weight" in state


def is_tensorflow_stylegan(state: Mapping[str, Any]) -> bool:
    """Whether these are StyleGAN's variables in TensorFlow."""
    return "synthesis/4x4/Const/StyleMod/weight" in state


def is_tensorflow_pggan(state: Mapping[str, Any]) -> bool:
    """Whether these are PGGAN's variables in TensorFlow."""
    return "4x4/Dense/weight" in state


def _sizes(reader: Reader, before: str) -> list[int]:
    pattern = re.compile(re.escape(before) + r"(\d+)x\d+/")
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


def read_tensorflow_stylegan2(state: Mapping[str, Tensor], name: str) -> StyleGAN2:
    """From `synthesis/{res}x{res}/{Conv,Conv0_up,Conv1,ToRGB}`, `synthesis/noise{i}`, `mapping/Dense{i}`."""
    reader = Reader(state, name)
    layers: list[Modulated] = []
    images: list[Modulated] = []

    def modulated(prefix: str, noise: Tensor | None, strength: Tensor | None, mirrored: bool) -> Modulated:
        weight = _kernel(reader, f"{prefix}/weight")
        weight = weight / math.sqrt(weight[0].numel())
        if mirrored:  # a transposed convolution sees its kernel the other way round
            weight = weight.flip(2, 3)
        style = _dense(reader, prefix, "mod_", shift=1.0)
        return Modulated(weight, style, reader.take(f"{prefix}/bias", len(weight)), noise, strength)

    for size in _sizes(reader, "synthesis/"):
        for kind in ("Conv0_up", "Conv1") if size > 4 else ("Conv",):
            prefix = f"synthesis/{size}x{size}/{kind}"
            noise = reader.take(f"synthesis/noise{len(layers)}", 1, 1, size, size)[0, 0]
            strength = reader.take(f"{prefix}/noise_strength")
            layers.append(modulated(prefix, noise, strength, mirrored=kind == "Conv0_up"))
        images.append(modulated(f"synthesis/{size}x{size}/ToRGB", None, None, mirrored=False))
    const = reader.take("synthesis/4x4/Const/const", 1, None, 4, 4)
    mean = reader.take("dlatent_avg") if "dlatent_avg" in reader.state else None
    return StyleGAN2(reader.name, _mapping_of(reader), const, layers, images, mean)


def read_tensorflow_stylegan(variables: Mapping[str, Tensor], name: str) -> StyleGAN:
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


def read_tensorflow_pggan(state: Mapping[str, Tensor], name: str) -> PGGAN:
    """From `{res}x{res}/{Dense,Conv,Conv0,Conv0_up,Conv1}` and `ToRGB_lod0`."""
    reader = Reader(state, name)
    if "lod" in reader.state and (lod := float(reader.take("lod"))) != 0:
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
    return pggan_of(layers, to_rgb, reader.name)


def _tensorflow_layer(reader: Reader, prefix: str, fused: bool = False) -> Convolution:
    if fused:  # a transposed convolution: stored [k, k, O, I], and seen the other way round
        weight = reader.take(f"{prefix}/weight", 3, 3, None, None).permute(2, 3, 0, 1).flip(2, 3)
    else:
        weight = _kernel(reader, f"{prefix}/weight")
    return _equalised(weight, reader.take(f"{prefix}/bias", len(weight)))


def _equalised(weight: Tensor, bias: Tensor) -> Convolution:
    return Convolution(weight * (_GAIN / math.sqrt(weight[0].numel())), bias)
