"""Weights in 8 bits: a matrix's rows as whole numbers from -127 to 127 with a scale each, for files that must be small.

A tensor NAME of int8 comes with NAME.scale, one number per row; together they stand for NAME * scale. Reading gives
floats back, so nothing else knows of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from mgi.generators.base import GeneratorError

SCALE = ".scale"
_LARGEST = 127


def rounded(state: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The state with these tensors [O, ...] in 8 bits and a scale [O] in half precision next to each."""
    found = dict(state)
    for name in names:
        rows = state[name].detach().float().flatten(1)
        scale = (rows.abs().amax(1) / _LARGEST).clamp(min=2**-14).half()
        whole = (rows / scale.float()[:, None]).round().clamp(-_LARGEST, _LARGEST)
        found[name], found[name + SCALE] = whole.to(torch.int8).view(state[name].shape), scale
    return found


def restored(state: Mapping[str, Tensor], file: str) -> dict[str, Tensor]:
    """The state in floats again; one without 8-bit tensors as it is.

    Args:
        state: tensors of a file.
        file: its name, for messages.

    Raises:
        GeneratorError: a scale does not fit its tensor.
    """
    packed = [name for name, tensor in state.items() if tensor.dtype == torch.int8 and name + SCALE in state]
    found = {name: tensor for name, tensor in state.items() if name.removesuffix(SCALE) not in packed or name in packed}
    for name in packed:
        tensor, scale = state[name], state[name + SCALE]
        if not scale.is_floating_point() or tensor.ndim < 2 or scale.shape != tensor.shape[:1]:
            raise GeneratorError(
                f"{file}: {name[:80]} is {list(tensor.shape)} in 8 bits, expected as many scales as rows, found "
                f"{list(scale.shape)}; get the file again"
            )
        found[name] = tensor.float() * scale.float().view(-1, *[1] * (tensor.ndim - 1))
    return found
