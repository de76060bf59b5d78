"""What a generator is to the inversion: layers at which codes can be fused, and a tail that renders from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor


class GeneratorError(ValueError):
    """A checkpoint cannot be used as a generator; the message is one line and says what to change."""


class Generator(Protocol):
    """A frozen generator: gradients reach codes, channel importance and styles, never its weights.

    B images, N codes each, D = z_dim, C = layer_channels(layer), R = resolution. A composing layer L is a number of
    convolution layers: codes are fused after the L-th.
    """

    z_dim: int
    resolution: int
    layers: int
    """Depth: composing layers are 1 to `layers`."""

    def layer_channels(self, layer: int) -> int:
        """C of the features after `layer` layers."""
        ...

    def layer_size(self, layer: int) -> int:
        """Rows (and columns) of the features after `layer` layers."""
        ...

    def tail_styles(self, layer: int) -> int:
        """How many styles the tail after `layer` layers reads; 0 where the generator has no styles."""
        ...

    def noise_shapes(self, start_layer: int = 0) -> dict[int, tuple[int, int]]:
        """Rows and columns of the noise map of every layer after `start_layer`; empty where there is no noise."""
        ...

    def __call__(self, z: Tensor) -> Tensor:
        """z ~ N(0, 1) [B, D] -> images [B, 3, R, R], trained to lie in [-1, 1] but not clipped."""
        ...

    def compose(
        self,
        codes: Tensor,
        alpha: Tensor,
        layer: int,
        mask: Tensor | None = None,
        space: str = "z",
        noise: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """Features of all codes at a layer, fused (`fuse`): codes [B, N, D], alpha [B, N, C] -> [B, C, h, w].

        Codes are of latent space `z`, or `w` where the generator has one; mask bool [B, N] is False for padding.
        `noise`: see `render`; the codes of an image share its maps.
        """
        ...

    def render(
        self,
        features: Tensor,
        layer: int,
        w: Tensor | None = None,
        down: int = 1,
        noise: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """The tail: features [B, C, h, w] after `layer` layers -> images [B, 3, R / down, R / down].

        Args:
            w: one style [B, D] or one per reader [B, tail_styles(layer), D]; None where the generator has none.
            down: the image's down x down means, for which a generator may know a shorter way than rendering all of it.
            noise: layer -> map of unit variance [B, 1, h, w] or [1, 1, h, w], instead of the stored one; gradients
                reach it. None: all stored. A generator without noise refuses it with GeneratorError.
        """
        ...


def fuse(features: Tensor, alpha: Tensor, mask: Tensor | None = None) -> Tensor:
    """Features of N codes as one, by adaptive channel importance (mGANprior): sum over n of alpha_n * F_n, over N.

    The division by N comes on top of alpha's usual start at 1/N, as published; it only scales alpha's step size.

    Args:
        features: [B, N, C, h, w].
        alpha: [B, N, C].
        mask: bool [B, N], False for padding: lanes with fewer codes than their batch. N then counts a lane's own codes.

    Returns:
        [B, C, h, w].
    """
    if mask is None:
        return torch.einsum("bnchw,bnc->bchw", features, alpha / features.shape[1])
    # where, not a product: the gradient of a padded code is then exactly zero even if its feature overflowed.
    alpha = torch.where(mask[..., None], alpha, torch.zeros_like(alpha)) / mask.sum(dim=1).view(-1, 1, 1)
    return torch.einsum("bnchw,bnc->bchw", features, alpha)


def require_layer(name: str, layers: int, layer: int) -> None:
    """Raise GeneratorError unless codes can be composed at `layer`."""
    if not 1 <= layer <= layers:
        raise GeneratorError(f"{name} has no composing layer {layer}; use 1 to {layers}")
