"""A feature network with weights of their own for some pairs: W_S and W_T of OEFT equations 1-2.

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
from mgi.features.vgg import VGG, Step, walk
from mgi.winograd import learning_conv3x3

Side = Literal["source", "exemplar"]


@dataclass(frozen=True)
class Trunk:
    """What the frozen convolutions make of images: the layers among them, and what the copies go on from."""

    found: dict[str, Tensor]
    end: Tensor

    def joined(self, other: Trunk) -> Trunk:
        """The views of both, these first."""
        found = {layer: torch.cat([feature, other.found[layer]]) for layer, feature in self.found.items()}
        return Trunk(found, torch.cat([self.end, other.end]))


class Branches:
    """Trunk and copies.

    Args:
        backbone: where all weights start.
        layers: what the copies are asked for.
        frozen_layers: what the network as it was is asked for.
        train_from: first convolution with copies, such as conv4_1.
        pairs: B.
        shared: one copy per pair for both sides.

    Raises:
        ConfigError: `train_from` is no convolution of the network, or lies beyond every layer asked for.
    """

    def __init__(
        self,
        backbone: VGG,
        layers: Sequence[str],
        frozen_layers: Sequence[str],
        train_from: str,
        pairs: int,
        shared: bool = False,
    ) -> None:
        steps = backbone.steps_to(layers)
        names = [f"conv{block}_{index}" for block, index in steps]
        if train_from not in names:
            raise ConfigError(
                f"oeft.train_from = {train_from} leaves nothing to fine-tune: expected a convolution that warp.layers "
                f"{list(layers)} of {backbone.name} depend on, {names[0]} to {names[-1]}"
            )
        first = names.index(train_from)
        self.pairs, self._backbone, self._layers, self._frozen_layers = pairs, backbone, layers, frozen_layers
        self._trunk_steps, self._steps = steps[:first], steps[first:]
        beyond = backbone.steps_to(frozen_layers) if frozen_layers else ()
        self._frozen_steps = beyond[first:]
        copies = {"source": self._copies()}
        copies["exemplar"] = copies["source"] if shared else self._copies()
        self._weights = copies

    def _copies(self) -> dict[Step, tuple[Tensor, Tensor]]:
        def copy(values: Tensor) -> Tensor:
            repeated = values.detach().float().repeat(self.pairs, *[1] * (values.ndim - 1))
            if values.ndim == 4:
                repeated = repeated.contiguous(memory_format=torch.channels_last)
            return repeated.requires_grad_()

        found = {step: self._backbone.convolution(step) for step in self._steps}
        return {step: (copy(weight), copy(bias)) for step, (weight, bias) in found.items()}

    def parameters(self) -> list[Tensor]:
        """Every copy once: weights [B O, I, 3, 3] and biases [B O]."""
        tensors = [tensor for side in self._weights.values() for pair in side.values() for tensor in pair]
        return list({id(tensor): tensor for tensor in tensors}.values())

    def trunk(self, images: Tensor) -> Trunk:
        """Images [V B, 3, S, S] in [-1, 1] through the frozen convolutions."""
        wanted = [*self._layers, *self._frozen_layers]
        found, end = walk(self._backbone.prepare(images), self._trunk_steps, self._backbone.convolve, wanted)
        return Trunk({layer: feature.float() for layer, feature in found.items()}, end)

    def features(self, trunk: Trunk, side: Side) -> list[Tensor]:
        """The layers asked for, by a side's copies: [V B, C, h, w] each."""
        weights = self._weights[side]

        def convolve(x: Tensor, step: Step) -> Tensor:
            weight, bias = weights[step]
            if self.pairs == 1:
                return learning_conv3x3(x, weight, bias)
            return F.conv2d(x, weight, bias, padding=1, groups=self.pairs)

        found, _ = walk(self._side_by_side(trunk.end.float()), self._steps, convolve, self._layers)
        apart = {layer: self._apart(feature) for layer, feature in found.items()}
        return [apart[layer] if layer in apart else trunk.found[layer] for layer in self._layers]

    def frozen_features(self, trunk: Trunk) -> dict[str, Tensor]:
        """The layers asked of the network as it was: {layer: [V B, C, h, w]}."""
        found, _ = walk(trunk.end, self._frozen_steps, self._backbone.convolve, self._frozen_layers)
        return {layer: found[layer].float() if layer in found else trunk.found[layer] for layer in self._frozen_layers}

    def _side_by_side(self, x: Tensor) -> Tensor:
        """[V B, C, h, w] -> [V, B C, h, w], for a grouped convolution."""
        return x if self.pairs == 1 else x.unflatten(0, (-1, self.pairs)).flatten(1, 2)

    def _apart(self, x: Tensor) -> Tensor:
        """The inverse of `_side_by_side`."""
        return x if self.pairs == 1 else x.unflatten(1, (self.pairs, -1)).flatten(0, 1)
