"""Perceptual losses by a frozen feature network that is no part of what is learnt or kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.features import Backbone, load_backbone
from mgi.features.vgg import PIXEL_UNITS

Network = Literal["vgg16-imagenet", "vgg19-imagenet"]
FIRST = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Layers of the loss of pix2pixHD and SPADE."""
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""From shallow to deep."""


class Perception:
    """A feature network that is loaded when it is first asked, on the device of what it is shown.

    No `nn.Module`: it stays outside of the state, the optimisers and the files of the system that holds it.

    Args:
        name: of the network.
    """

    def __init__(self, name: str) -> None:
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


class FrozenFeatures:
    """One layer of a feature network.

    Args:
        network: of `mgi.features.BACKBONES`.
        layer: of that network, such as relu5_3.
    """

    def __init__(self, network: str, layer: str) -> None:
        self.layer, self._seen = layer, Perception(network)

    def __call__(self, images: Tensor) -> Tensor:
        """Pictures [B, 3, S, S] in [-1, 1] -> features [B, C, h, w] as large as those of the weights of 2014.

        They expect pixels up to 255, and published weights of losses are for them; features of weights that expect
        normalised pixels are enlarged as much.

        Raises:
            mgi.weights.WeightsError: the network is not here.
        """
        (found,) = self._seen(images, [self.layer])
        return found * (PIXEL_UNITS["caffe-bgr"] / self._seen.network(images.device).unit)

    def squared(self, x: Tensor, target: Tensor) -> Tensor:
        """Mean squared difference of features; no gradients reach the target."""
        return F.mse_loss(self(x), self._target(target))

    def normalised(self, x: Tensor, target: Tensor) -> Tensor:
        """The same of features whose mean and deviation over places are taken away: colours and textures do not count.

        MUNIT, section 5.1: the domain-invariant perceptual loss.
        """
        return F.mse_loss(F.instance_norm(self(x)), F.instance_norm(self._target(target)))

    def _target(self, target: Tensor) -> Tensor:
        with torch.no_grad():
            return self(target)


def weighted_l1(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """Sum over layers, from shallow to deep, of 1/32, 1/16, 1/8, 1/4 and 1 times the mean absolute difference."""
    return torch.stack([w * (ours - theirs).abs().mean() for w, ours, theirs in zip(WEIGHTS, x, y, strict=True)]).sum()
