"""A feature network as a chain of units that can be cut between any two: what OEFT needs to fine-tune its later part.

A unit is what lies between two cuts: a convolution of a VGG, or a whole residual block of a ResNet, whose shortcut must
not be cut. Convolutions are called by name, so other weights can take their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from mgi.features.base import Backbone

Convolve = Callable[[Tensor, str], Tensor]
"""Applies the convolution of that name."""


class Convolution(NamedTuple):
    """Weight [O, I, k, k], bias [O] and stride; the padding keeps the size: k // 2."""

    weight: Tensor
    bias: Tensor
    stride: int


class Unit(Protocol):
    """The part between two cuts."""

    @property
    def name(self) -> str:
        """Names the cut before it."""
        ...

    @property
    def layer(self) -> str | None:
        """The feature that it ends with, if it has a name."""
        ...

    @property
    def convolutions(self) -> tuple[str, ...]:
        """Names of its convolutions."""
        ...

    def run(self, x: Tensor, convolve: Convolve) -> Tensor:
        """From the unit before it to the one after it, activations and pooling included."""
        ...


@runtime_checkable
class Chain(Backbone, Protocol):
    """A backbone that is a chain of units."""

    def units_to(self, layers: Sequence[str]) -> tuple[Unit, ...]:
        """The units down to the deepest of these layers."""
        ...

    def prepare(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] -> the first unit's input."""
        ...

    def convolution(self, name: str) -> Convolution:
        """The convolution of that name."""
        ...

    def convolve(self, x: Tensor, name: str) -> Tensor:
        """That convolution, applied."""
        ...


def walk(
    x: Tensor, units: Sequence[Unit], convolve: Convolve, layers: Sequence[str]
) -> tuple[dict[str, Tensor], Tensor]:
    """Through consecutive units.

    Args:
        x: input of the first.
        units: part of a chain.
        convolve: applies a convolution by its name.
        layers: what to keep; layers that are not among the units are left out.

    Returns:
        {layer: feature}, in the order of `layers`, and the feature where the walk ended.
    """
    found: dict[str, Tensor] = {}
    for unit in units:
        x = unit.run(x, convolve)
        layer = unit.layer
        if layer is not None and layer in layers:
            found[layer] = x
    return {layer: found[layer] for layer in layers if layer in found}, x
