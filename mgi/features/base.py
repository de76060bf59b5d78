"""What the rest of the code sees of a feature network: named layers in, a pyramid of features out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class FeatureError(ValueError):
    """A feature network cannot do what was asked; the message is one line and says what to change."""


class Backbone(Protocol):
    """A frozen feature network: gradients reach its input, never its weights."""

    name: str
    unit: float
    """The scale of its pixels: standard deviation of ImageNet's pixels as its first layer sees them. Dividing features
    by it gives about those of a network that expects unit variance, for which published losses are stated."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that can be asked for, from shallow to deep."""
        ...

    def channels(self, layer: str) -> int:
        """Channels of a layer's feature. Raises FeatureError for a layer that is not there."""
        ...

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Images float [B, 3, H, W] in [-1, 1] -> {layer: float32 [B, C, h, w]}, in the order of `layers`.

        Raises FeatureError for a layer that is not there.
        """
        ...


def require_layers(name: str, known: Sequence[str] | Mapping[str, object], asked: Sequence[str]) -> None:
    """Raise FeatureError unless there is at least one layer and all are known."""
    if not asked:
        raise FeatureError(f"{name}: no layer was asked for; name at least one of {', '.join(known)}")
    for layer in asked:
        if layer not in known:
            raise FeatureError(f"{name} has no layer {layer!r}; use one of {', '.join(known)}")
