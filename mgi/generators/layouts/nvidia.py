"""StyleGAN2 as stylegan2-ada-pytorch (and stylegan3, which carries the same code) names its tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.layouts.reading import MAPPING_RATE, Reader
from mgi.generators.layouts.variants import clamp_of, refuse_variants
from mgi.generators.pickled.records import Persistent
from mgi.generators.stylegan2 import BLUR, Modulated, StyleGAN2

CLAMP = "synthesis.conv_clamp"
"""Our name for the bound of all convolutions, which the public code keeps next to its tensors."""

_CONVOLUTION = re.compile(r"synthesis\.b\d+\.(conv[01]|torgb)")
_ACTIVATED = re.compile(r"mapping\.fc\d+|synthesis\.b\d+\.conv[01]")


def state_of(record: Persistent, name: str) -> dict[str, Tensor]:
    """A pickled generator's tensors, and under `CLAMP` the bound that its convolutions clamp to, if they do.

    Raises:
        GeneratorError: it computes something other than StyleGAN2 from its tensors.
    """
    clamps = set()
    for path, module in record.modules():
        if _ACTIVATED.fullmatch(path) and (found := module.state.get("activation", "lrelu")) != "lrelu":
            raise GeneratorError(f"{name}: {path} has the activation {str(found)[:20]!r}, expected 'lrelu'")
        rate = module.state.get("bias_gain", MAPPING_RATE)
        if path == "mapping.fc0" and rate != MAPPING_RATE:
            raise GeneratorError(f"{name}: {path} has the learning rate {str(rate)[:20]}, expected {MAPPING_RATE}")
        if _CONVOLUTION.fullmatch(path):
            clamps.add(module.state.get("conv_clamp"))
    clamp = clamp_of(clamps, name)
    return record.tensors() | ({} if clamp is None else {CLAMP: torch.tensor(clamp)})


def is_stylegan3(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is a StyleGAN3 generator."""
    return any(key.startswith(("synthesis.L0_", "synthesis.input.")) for key in state)


def refuse_stylegan3(state: Mapping[str, Tensor], name: str) -> StyleGAN2:
    """Raises GeneratorError: it resamples between all layers, so codes cannot be composed at any of them."""
    raise GeneratorError(f"{name} is a StyleGAN3 generator, whose layers cannot be composed; use a StyleGAN2")


def is_stylegan2(state: Mapping[str, Any]) -> bool:
    """Whether a state dict is the generator of stylegan2-ada-pytorch."""
    return "synthesis.b4.const" in state and "mapping.fc0.weight" in state


def read_stylegan2(state: Mapping[str, Tensor], name: str) -> StyleGAN2:
    """From `mapping.fc{i}`, `mapping.w_avg`, `synthesis.b{res}.{const,conv0,conv1,torgb}`, `CLAMP`.

    Blocks of half precision are computed in float32, as the public code does with `force_fp32`.

    Raises:
        GeneratorError: a tensor is missing or misshapen, or it is a variant that is not supported here.
    """
    reader = Reader(state, name)
    blocks = [(int(match[1]), match[2]) for key in state if (match := re.match(r"synthesis\.b(\d{1,5})\.(\w+)", key))]
    sizes = sorted({size for size, _ in blocks})
    refuse_variants(
        name,
        sizes,
        images=sorted({size for size, part in blocks if part == "torgb"}),
        residual=any(part == "skip" for _, part in blocks),
        conditional=any(key.startswith("mapping.embed.") for key in state),
    )
    _require_blur(reader)
    silent = not any(key.endswith((".noise_const", ".noise_strength")) for key in state)  # made with use_noise=False
    mapping = [reader.linear(f"mapping.fc{i}", rate=MAPPING_RATE) for i in reader.numbers("mapping.fc", ".weight")]
    layers, images = [], []
    for size in sizes:
        block = f"synthesis.b{size}"
        for kind in ("conv0", "conv1") if size > sizes[0] else ("conv1",):
            prefix = f"{block}.{kind}"
            weight = reader.take(f"{prefix}.weight", None, None, 3, 3)  # demodulated, so it has no scale
            noise = torch.zeros(size, size) if silent else reader.take(f"{prefix}.noise_const", size, size)
            strength = torch.zeros(()) if silent else reader.number(f"{prefix}.noise_strength")
            bias = reader.take(f"{prefix}.bias", len(weight))
            layers.append(Modulated(weight, reader.linear(f"{prefix}.affine"), bias, noise, strength))
        weight = reader.take(f"{block}.torgb.weight", 3, None, 1, 1)
        style = reader.linear(f"{block}.torgb.affine")
        images.append(Modulated(weight / math.sqrt(weight.shape[1]), style, reader.take(f"{block}.torgb.bias", 3)))
    const = reader.take(f"synthesis.b{sizes[0]}.const", None, None, None)[None]
    mean = reader.take("mapping.w_avg") if "mapping.w_avg" in state else None
    clamp = clamp_of(reader.take(CLAMP).flatten().tolist(), name) if CLAMP in state else None
    return StyleGAN2(name, mapping, const, layers, images, mean, clamp)


def _require_blur(reader: Reader) -> None:
    """Check that every filter stored with the convolutions is the one that StyleGAN2 uses here."""
    kernel = torch.tensor(BLUR) / sum(BLUR)
    for key in reader.state:
        if key.startswith("synthesis.") and key.endswith(".resample_filter"):
            found = reader.take(key)
            if found.shape != (4, 4) or not torch.allclose(found, torch.outer(kernel, kernel), atol=1e-6):
                raise GeneratorError(f"{reader.name}: {key} is another filter than [1, 3, 3, 1], which is expected")
