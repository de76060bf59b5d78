"""Distances in a frozen feature network that systems learn by: not a part of them, so that no file holds it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.features import Backbone, load_backbone
from mgi.features.vgg import PIXEL_UNITS


class FrozenFeatures:
    """One layer of a feature network of the zoo; loaded when it is first used, where the pictures are.

    No `nn.Module`: it stays outside of the state, the optimisers and the files of the system that holds it.

    Args:
        network: of `mgi.features.BACKBONES`.
        layer: of that network, such as relu5_3.
    """

    def __init__(self, network: str, layer: str) -> None:
        self.network, self.layer = network, layer
        self._loaded: Backbone | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Pictures [B, 3, S, S] in [-1, 1] -> features [B, C, h, w] as large as those of the weights of 2014.

        They expect pixels up to 255, and published weights of losses are for them; features of weights that expect
        normalised pixels are enlarged as much.

        Raises:
            mgi.weights.WeightsError: the network is not here.
        """
        if self._loaded is None:
            self._loaded = load_backbone(self.network, images.device)
        return self._loaded(images, [self.layer])[self.layer] * (PIXEL_UNITS["caffe-bgr"] / self._loaded.unit)

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
