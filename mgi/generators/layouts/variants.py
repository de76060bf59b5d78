"""Variants of StyleGAN2 that the public code can make and this code does not support: each is refused by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mgi.generators.base import GeneratorError


def refuse_variants(
    name: str, sizes: Sequence[int], images: Sequence[int], residual: bool = False, conditional: bool = False
) -> None:
    """Check that a generator is unconditional and has the architecture 'skip'.

    Args:
        sizes: the resolutions that have convolutions, in order.
        images: those of them that have a toRGB layer.
        residual: whether blocks have a skip convolution.
        conditional: whether labels are embedded.

    Raises:
        GeneratorError: it is a variant, or a resolution is missing.
    """
    expected = "expected 'skip', where every resolution adds to the image"
    if residual:
        raise GeneratorError(f"{name} has the architecture 'resnet', made of residual blocks; {expected}")
    if len(sizes) > 1 and list(images) == [sizes[-1]]:
        raise GeneratorError(f"{name} has the architecture 'orig', an image from the last resolution alone; {expected}")
    if conditional:
        raise GeneratorError(f"{name} is conditional on labels; expected an unconditional generator")
    if not sizes or list(sizes) != [sizes[0] << step for step in range(len(sizes))]:
        raise GeneratorError(f"{name}: expected resolutions 4, 8, 16, ..., found {list(sizes)[:12]}")


def clamp_of(values: Iterable[Any], name: str) -> float | None:
    """The one bound that all convolutions clamp their output to, from what every layer says; None if none clamps.

    Raises:
        GeneratorError: layers differ, or it is not a positive number.
    """
    found = {float(value) if isinstance(value, int | float) else value for value in values}
    if found <= {None}:
        return None
    value = found.pop()
    if found or not isinstance(value, float) or not (math.isfinite(value) and value > 0):
        raise GeneratorError(f"{name} clamps its convolutions at no single positive number; expected one, or none")
    return value
