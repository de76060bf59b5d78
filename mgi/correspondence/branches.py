"""A feature network in which every pair has its own weights: W_S and W_T of OEFT equations 1-2.

The first convolutions stay as they are and are shared by all pairs (the trunk); from `train_from` on, every pair has
copies that are fine-tuned, one for its source and one for its exemplar. Batches are [V B, ...]: V views of B pairs,
view by view. Pairs side by side are groups of one grouped convolution, so no pair's gradient reaches another's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import ConfigError
from mgi.features.chain import Chain, walk
from mgi.winograd import learning_conv3x3

Side = Literal["source", "exemplar"]
Copies = dict[str, tuple[Tensor, Tensor]]
"""Weights [B O, I, k, k] and biases [B O] by the name of the convolution."""


@dataclass(frozen=True)
class Trunk:
    """What the frozen convolutions make of images: the layers among them, and the input of the copies."""

    found: dict[str, Tensor]
    end: Tensor

    def joined(self, other: Trunk) -> Trunk:
        """The views of both, these first."""
        found = {layer: torch.cat([feature, other.found[layer]]) for layer, feature in self.found.items()}
        return Trunk(found, torch.cat([self.end, other.end]))


class Branches:
    """Trunk and copies.

    Args:
        backbone: the network that all weights start from.
        layers: layers that the copies compute.
        frozen_layers: layers that the original network computes.
        train_from: first unit with copies, such as conv4_1 of a VGG or layer2.0 of a ResNet.
        pairs: B.
        shared: one copy per pair for both sides.

    Raises:
        ConfigError: `train_from` is not a unit of the network, or lies beyond every layer asked for.
        FeatureError: the network lacks a layer.
    """

    def __init__(
        self,
        backbone: Chain,
        layers: Sequence[str],
        frozen_layers: Sequence[str],
        train_from: str,
        pairs: int,
        shared: bool = False,
    ) -> None:
        units = backbone.units_to(layers)
        names = [unit.name for unit in units]
        if train_from not in names:
            raise ConfigError(
                f"oeft.train_from = {train_from} leaves nothing to fine-tune: expected one of those that warp.layers "
                f"{list(layers)} of {backbone.name} depend on, {names[0]} to {names[-1]}"
            )
        first = names.index(train_from)
        self.pairs, self._backbone, self._layers, self._frozen_layers = pairs, backbone, layers, frozen_layers
        self._trunk_units, self._units = units[:first], units[first:]
        beyond = backbone.units_to(frozen_layers) if frozen_layers else ()
        self._frozen_units = beyond[first:]
        trained = [name for unit in self._units for name in unit.convolutions]
        self._pretrained = {name: backbone.convolution(name) for name in trained}
        copies = {"source": self._copies()}
        copies["exemplar"] = copies["source"] if shared else self._copies()
        self._weights = copies

    def _copies(self) -> Copies:
        def copy(values: Tensor) -> Tensor:
            repeated = values.detach().float().repeat(self.pairs, *[1] * (values.ndim - 1))
            if values.ndim == 4:
                repeated = repeated.contiguous(memory_format=torch.channels_last)
            return repeated.requires_grad_()

        return {name: (copy(start.weight), copy(start.bias)) for name, start in self._pretrained.items()}

    def parameters(self) -> list[Tensor]:
        """Every copy, once each."""
        tensors = [tensor for side in self._weights.values() for pair in side.values() for tensor in pair]
        return list({id(tensor): tensor for tensor in tensors}.values())

    def drift(self) -> Tensor:
        """|W - W_0|^2 / |W_0|^2 of every pair, W being all its copies together and W_0 where they started: [B]."""
        sides = list({id(copies): copies for copies in self._weights.values()}.values())
        moved, whole = [], 0.0
        for name, (*start, _) in self._pretrained.items():
            for copies in sides:
                for tensor, values in zip(copies[name], start, strict=True):
                    apart = tensor.unflatten(0, (self.pairs, -1)) - values.float()
                    moved.append(apart.square().flatten(1).sum(1))
            whole += len(sides) * sum(float(values.float().square().sum()) for values in start)
        return torch.stack(moved).sum(0) / whole

    def trunk(self, images: Tensor) -> Trunk:
        """Images [V B, 3, S, S] in [-1, 1] through the frozen convolutions."""
        wanted = [*self._layers, *self._frozen_layers]
        found, end = walk(self._backbone.prepare(images), self._trunk_units, self._backbone.convolve, wanted)
        return Trunk({layer: feature.float() for layer, feature in found.items()}, end)

    def features(self, trunk: Trunk, side: Side) -> list[Tensor]:
        """F(x; W_S) or F(x; W_T) of OEFT equations 1-2: the layers asked for, by a side's copies: [V B, C, h, w]."""
        weights = self._weights[side]

        def convolve(x: Tensor, name: str) -> Tensor:
            (weight, bias), stride = weights[name], self._pretrained[name].stride
            if self.pairs == 1 and weight.shape[-1] == 3 and stride == 1:
                return learning_conv3x3(x, weight, bias)
            return F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2, groups=self.pairs)

        found, _ = walk(self._side_by_side(trunk.end.float()), self._units, convolve, self._layers)
        apart = {layer: self._apart(feature) for layer, feature in found.items()}
        return [apart[layer] if layer in apart else trunk.found[layer] for layer in self._layers]

    def frozen_features(self, trunk: Trunk) -> dict[str, Tensor]:
        """The layers of the original network: {layer: [V B, C, h, w]}."""
        found, _ = walk(trunk.end, self._frozen_units, self._backbone.convolve, self._frozen_layers)
        return {layer: found[layer].float() if layer in found else trunk.found[layer] for layer in self._frozen_layers}

    def _side_by_side(self, x: Tensor) -> Tensor:
        """[V B, C, h, w] -> [V, B C, h, w], for a grouped convolution."""
        return x if self.pairs == 1 else x.unflatten(0, (-1, self.pairs)).flatten(1, 2)

    def _apart(self, x: Tensor) -> Tensor:
        """The inverse of `_side_by_side`."""
        return x if self.pairs == 1 else x.unflatten(1, (self.pairs, -1)).flatten(0, 1)
