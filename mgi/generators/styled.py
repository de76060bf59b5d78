"""What StyleGAN and StyleGAN2 share: mapping network, truncation, W+, and composing codes at any layer.

A synthesis network is a sequence of convolution layers; style i of W+ belongs to layer i + 1, and one more style to the
last image layer, if there is one. Features after L layers are returned without their style, so the tail's own styles
decide everything that the tail does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.generators.base import GeneratorError, fuse, require_layer
from mgi.generators.noise import Noise, WithNoise, per_code

SLOPE = 0.2
EPSILON = 1e-8


@dataclass(frozen=True)
class Linear:
    """Weight [O, I] and bias [O]; every learning-rate scale is folded in."""

    weight: Tensor
    bias: Tensor


class StyleBased(WithNoise, nn.Module):
    """A frozen style-based generator.

    Args:
        name: what messages call it.
        mapping: linear layers from z to w, each followed by a leaky ReLU.
        gain: factor after each activation of the mapping network.
        w_mean: centre of truncation [D], or [styles, D]; None if the checkpoint has none.
    """

    z_dim: int
    resolution: int
    layers: int
    styles: int
    """How many w the whole synthesis reads: the rows of W+."""

    def __init__(self, name: str, mapping: Sequence[Linear], gain: float, w_mean: Tensor | None) -> None:
        super().__init__()
        self.name, self._gain, self._depth = name, gain, len(mapping)
        for index, linear in enumerate(mapping):
            self.register_buffer(f"mapping_weight{index}", linear.weight.contiguous())
            self.register_buffer(f"mapping_bias{index}", linear.bias.clone())
        self.register_buffer("w_mean", None if w_mean is None else w_mean.float().clone())
        self.z_dim = mapping[0].weight.shape[1]

    # ------------------------------------------------------------------ latent spaces

    def to_w(self, z: Tensor) -> Tensor:
        """Mapping network: z [..., D] ~ N(0, 1) -> w [..., D]."""
        w = z * torch.rsqrt(z.square().mean(-1, keepdim=True) + EPSILON)
        for index in range(self._depth):
            w = F.linear(w, self.get_buffer(f"mapping_weight{index}"), self.get_buffer(f"mapping_bias{index}"))
            w = F.leaky_relu(w, SLOPE) * self._gain
        return w

    def truncate(self, w: Tensor, psi: float, layers: int | None = None) -> Tensor:
        """w [B, D] or [B, styles, D] -> W+ [B, styles, D], the first `layers` styles (None: all) pulled to the mean.

        Raises:
            GeneratorError: the checkpoint has no mean latent.
        """
        mean = self.w_mean
        if not isinstance(mean, Tensor):
            raise GeneratorError(f"{self.name} has no mean latent to truncate towards; leave truncation at 1")
        return truncated(self._plus(w), mean, psi, layers)

    # ------------------------------------------------------------------ from latents to images

    def forward(self, z: Tensor) -> Tensor:
        """z [B, D] -> images [B, 3, R, R]; no truncation, stored noise."""
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise GeneratorError(f"{self.name} expects codes of shape [B, {self.z_dim}], found {list(z.shape)}")
        return self.synthesize(self.to_w(z))

    def synthesize(self, w: Tensor, noise: Noise | None = None) -> Tensor:
        """w [B, D] or W+ [B, styles, D] -> images [B, 3, R, R]; `noise` replaces stored maps."""
        w = self._plus(w)
        noise = self._checked(noise, len(w))
        features = self._head(w, self.layers, noise)
        return self._tail(features, self.layers, w[:, self.layers - self._late :], 1, noise)

    def head(self, w: Tensor, layer: int, noise: Noise | None = None) -> Tensor:
        """Features [B, C, h, w] after `layer` layers, from w [B, D] or W+ [B, styles, D]."""
        require_layer(self.name, self.layers, layer)
        return self._head(self._plus(w), layer, self._checked(noise, len(w)))

    def compose(
        self,
        codes: Tensor,
        alpha: Tensor,
        layer: int,
        space: str = "z",
        noise: Noise | None = None,
    ) -> Tensor:
        """Codes z or w [B, N, D], or W+ [B, N, styles, D] -> fused features [B, C, h, w]; see `fuse`.

        Args:
            alpha: [B, N, C].
            space: `z`, or `w` for w and W+.
            noise: maps of the lanes; a lane's codes share them.
        """
        w = self.to_w(codes) if space == "z" else codes
        features = self.head(w.flatten(0, 1), layer, per_code(noise, codes.shape[1]))
        return fuse(features.unflatten(0, codes.shape[:2]), alpha.to(features.dtype))

    def render(
        self,
        features: Tensor,
        layer: int,
        w: Tensor | None = None,
        down: int = 1,
        noise: Noise | None = None,
    ) -> Tensor:
        """Features [B, C, h, w] after `layer` layers -> images [B, 3, R / down, R / down].

        Args:
            w: the tail's styles, [B, D] or [B, tail_styles(layer), D].
            down: the image's down x down means.
            noise: maps instead of stored ones; those of layers up to `layer` are not needed any more and are not read.
        """
        require_layer(self.name, self.layers, layer)
        if w is None:
            raise GeneratorError(f"{self.name} needs styles for its tail: one w [B, D], or one per layer")
        count = self.tail_styles(layer)
        if w.ndim == 2:
            w = w[:, None].expand(-1, count, -1)
        elif w.shape[1] != count:
            raise GeneratorError(f"{self.name}: the tail after layer {layer} reads {count} styles, found {w.shape[1]}")
        return self._tail(features, layer, w, down, self._checked(noise, len(features)))

    def tail_styles(self, layer: int) -> int:
        """How many styles the tail after `layer` layers reads."""
        require_layer(self.name, self.layers, layer)
        return self.styles - layer + self._late

    def layer_channels(self, layer: int) -> int:
        """C of the features after `layer` layers."""
        raise NotImplementedError

    def layer_size(self, layer: int) -> int:
        """h = w of the features after `layer` layers."""
        raise NotImplementedError

    _late = 0
    """1 if a layer's own style is left to the tail (StyleGAN's styles come after the layer), else 0."""

    def _head(self, w: Tensor, layer: int, noise: Noise) -> Tensor:
        raise NotImplementedError

    def _tail(self, features: Tensor, layer: int, w: Tensor, down: int, noise: Noise) -> Tensor:
        raise NotImplementedError

    def _plus(self, w: Tensor) -> Tensor:
        return plus(w, self.styles, self.name)


def plus(w: Tensor, styles: int, name: str) -> Tensor:
    """w [B, D] or W+ [B, styles, D] -> W+. Raises GeneratorError for other shapes."""
    if w.ndim == 2:
        return w[:, None].expand(-1, styles, -1)
    if w.ndim != 3 or w.shape[1] != styles:
        raise GeneratorError(f"{name} expects w [B, D] or [B, {styles}, D], found {list(w.shape)}")
    return w


def truncated(w: Tensor, mean: Tensor, psi: float, layers: int | None) -> Tensor:
    """W+ with its first `layers` styles (None: all) at `psi` times their distance from the mean."""
    count = w.shape[1] if layers is None else layers
    return torch.cat([(mean + psi * (w - mean))[:, :count], w[:, count:]], dim=1)
