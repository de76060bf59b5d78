"""Perceptual losses of conditional systems, by a frozen VGG that is no part of what is learnt or kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from mgi.features import Backbone, load_backbone

Network = Literal["vgg16-imagenet", "vgg19-imagenet"]
FIRST = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Layers of the loss of pix2pixHD and SPADE."""
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""From shallow to deep."""


class Perception:
    """A feature network that is loaded when it is first asked, on the device of what it is shown.

    Args:
        name: of the network.
    """

    def __init__(self, name: Network) -> None:
        self.name = name
        self._loaded: dict[torch.device, Backbone] = {}

    def network(self, device: torch.device) -> Backbone:
        """On a device."""
        if device not in self._loaded:
            self._loaded[device] = load_backbone(self.name, device)
        return self._loaded[device]

    def __call__(self, pictures: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Features of pictures [B, 3, S, S] in [-1, 1], one for each layer."""
        found = self.network(pictures.device)(pictures, layers)
        return [found[layer] for layer in layers]

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum over five layers of weight * mean |phi(x) - phi(y)|, phi of pixels of unit variance; y is a target."""
        unit = self.network(x.device).unit
        with torch.no_grad():
            target = self(y, FIRST)
        return weighted_l1(self(x, FIRST), target) / unit


def weighted_l1(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """Sum over layers, from shallow to deep, of 1/32, 1/16, 1/8, 1/4 and 1 times the mean absolute difference."""
    return torch.stack([w * (ours - theirs).abs().mean() for w, ours, theirs in zip(WEIGHTS, x, y, strict=True)]).sum()
