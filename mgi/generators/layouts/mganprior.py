"""PGGAN as mGANprior publishes it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.pggan import PGGAN, Convolution

_KEY = re.compile(r"(layer|output)(\d{1,3})\.(conv\.weight|wscale\.bias)|lod")


def is_mganprior(state: Mapping[str, object]) -> bool:
    """Whether a state dict has the layout that `read_mganprior` reads."""
    return "layer0.conv.weight" in state and "layer0.wscale.bias" in state


def read_mganprior(state: Mapping[str, Tensor], name: str = "pggan") -> PGGAN:
    """A PGGAN from `layer{i}.conv.weight`, `layer{i}.wscale.bias`, `output{b}.*` and `lod`.

    The scale of the equalised learning rate is not stored; it follows from each weight's shape: gain / sqrt(I k k),
    with gain sqrt(2) before an activation and 1 before the image. The bias of layer0 may have a number for every
    position, as that of a linear first layer has.

    Raises:
        GeneratorError: a tensor is missing, unknown, of a shape that does not fit, or not finite; or training stopped
            before the last resolution was faded in (`lod` is not 0).
    """
    unknown = [key for key in state if not _KEY.fullmatch(key)]
    if unknown:
        raise GeneratorError(
            f"{name}: found tensor {unknown[0]!r}; expected layer0.conv.weight, layer0.wscale.bias, ..."
        )
    for key, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise GeneratorError(f"{name}: tensor {key} holds NaN or infinity; the checkpoint is damaged, get it again")
    lod = state.get("lod", torch.zeros(()))
    if lod.numel() != 1:
        raise GeneratorError(f"{name}: lod has shape {list(lod.shape)}, expected one number; the checkpoint is damaged")
    if (level := float(lod)) != 0:
        raise GeneratorError(f"{name}: lod is {level:g}, expected 0: it was saved before training its last resolution")
    indices = sorted(int(key[5:].split(".")[0]) for key in state if key.startswith("layer") and key.endswith("weight"))
    if indices != list(range(len(indices))) or len(indices) % 2 or not indices:
        raise GeneratorError(f"{name}: expected layers 0, 1, ..., two per resolution, found {indices}")
    layers = [_convolution(state, f"layer{index}", math.sqrt(2), name) for index in indices]
    return PGGAN(layers, _convolution(state, f"output{len(indices) // 2 - 1}", 1.0, name), name)


def _convolution(state: Mapping[str, Tensor], prefix: str, gain: float, name: str) -> Convolution:
    try:
        weight, bias = state[f"{prefix}.conv.weight"], state[f"{prefix}.wscale.bias"]
    except KeyError as error:
        raise GeneratorError(f"{name}: tensor {error.args[0]} is missing; the checkpoint is incomplete") from None
    everywhere = prefix == "layer0" and weight.ndim == 4 and bias.shape == (len(weight), *weight.shape[2:])
    if weight.ndim != 4 or (bias.shape != weight.shape[:1] and not everywhere):
        shapes = f"weight {list(weight.shape)} and bias {list(bias.shape)}"
        raise GeneratorError(f"{name}: {prefix} has {shapes}, expected [O, I, k, k] and [O]; get the checkpoint again")
    return Convolution(weight.float() * (gain / math.sqrt(weight[0].numel())), bias.float())
