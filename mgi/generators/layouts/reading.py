"""Taking tensors out of a state dict; whatever is missing or has the wrong shape becomes a one-line error."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.styled import Linear

MAPPING_RATE = 0.01
"""Learning-rate multiplier of the mapping networks of StyleGAN and StyleGAN2."""


class Reader:
    """A state dict, and the name that messages use for it."""

    def __init__(self, state: Mapping[str, Tensor], name: str) -> None:
        self.state, self.name = state, name

    def take(self, key: str, *shape: int | None) -> Tensor:
        """The tensor `key` as float32.

        Args:
            shape: the shape it must have, with None for any size; no argument: any shape.

        Raises:
            GeneratorError: it is missing, of another shape, or not finite.
        """
        try:
            tensor = self.state[key]
        except KeyError:
            raise GeneratorError(f"{self.name}: tensor {key} is missing; the checkpoint is incomplete") from None
        fits = tensor.ndim == len(shape) and all(
            wanted in (None, found) for wanted, found in zip(shape, tensor.shape, strict=True)
        )
        if shape and not fits:
            wanted = ", ".join("?" if size is None else str(size) for size in shape)
            raise GeneratorError(f"{self.name}: {key} has shape {list(tensor.shape)}, expected [{wanted}]")
        if not torch.isfinite(tensor).all():
            raise GeneratorError(f"{self.name}: tensor {key} holds NaN or infinity; the checkpoint is damaged")
        return tensor.float()

    def number(self, key: str) -> Tensor:
        """The only number in tensor `key`, of any shape, as a scalar. Raises GeneratorError for any other count."""
        tensor = self.take(key)
        if tensor.numel() != 1:
            raise GeneratorError(f"{self.name}: {key} has shape {list(tensor.shape)}, expected one number")
        return tensor.reshape(())

    def numbers(self, before: str, after: str) -> list[int]:
        """0, 1, ... as found in keys `before{number}after`.

        Raises:
            GeneratorError: a number is missing, or there is none at all.
        """
        found = {key[len(before) : -len(after)] for key in self.state if key.startswith(before) and key.endswith(after)}
        numbers = sorted(int(text) for text in found if text.isdecimal() and len(text) < 6)
        if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise GeneratorError(f"{self.name}: expected {before}0{after}, {before}1{after}, ..., found {numbers}")
        return numbers

    def linear(self, prefix: str, gain: float = 1.0, rate: float = 1.0, shift: float = 0.0) -> Linear:
        """`prefix.weight` times gain * rate / sqrt(fan-in), and `prefix.bias` times rate, plus shift."""
        weight = self.take(f"{prefix}.weight", None, None)
        bias = self.take(f"{prefix}.bias", weight.shape[0])
        return Linear(weight * (gain * rate / math.sqrt(weight.shape[1])), bias * rate + shift)
