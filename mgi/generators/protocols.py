"""What callers see of a generator: layers at which codes can be fused, and a tail that renders from there.

Every generator is a `Generator`. What only some of them have is a protocol of its own, next to the function that tests
for it: styles (`is_styled`), a tail that can be read in the middle (`is_tapped`), features in bf16 (`has_bf16`).

B images, N codes each, D = z_dim, C = layer_channels(layer), R = resolution. A composing layer L is a number of
convolution layers: codes are fused after the L-th.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeGuard

import torch
from torch import Tensor


class Generator(Protocol):
    """A frozen generator: gradients reach codes, channel importance and styles, never its weights."""

    name: str
    """What messages call it."""
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
        """How many styles the tail after `layer` layers reads; 0 if the generator has no styles."""
        ...

    def noise_shapes(self, start_layer: int = 0) -> dict[int, tuple[int, int]]:
        """Rows and columns of the noise map of every layer after `start_layer`; empty if there is no noise."""
        ...

    def __call__(self, z: Tensor) -> Tensor:
        """z ~ N(0, 1) [B, D] -> images [B, 3, R, R], trained to lie in [-1, 1] but not clipped."""
        ...

    def head(self, codes: Tensor, layer: int, /) -> Tensor:
        """Features [B, C, h, w] after `layer` layers, of codes [B, D]: z, or w if the generator has styles."""
        ...

    def compose(
        self,
        codes: Tensor,
        alpha: Tensor,
        layer: int,
        space: str = "z",
        noise: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """Features of all codes at a layer, fused (`fuse`): codes [B, N, D], alpha [B, N, C] -> [B, C, h, w].

        Codes are in the latent space `z`, or `w` if the generator has it. `noise`: see `render`; all codes of an image
        share its maps.
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
            w: one style [B, D] or one per reader [B, tail_styles(layer), D]; None if the generator has none.
            down: the image's down x down means, which a generator may compute faster than by rendering all of it.
            noise: layer -> map of unit variance [B, 1, h, w] or [1, 1, h, w], instead of the stored one; gradients
                reach it. None: all stored. A generator without noise raises GeneratorError if it gets one.
        """
        ...

    def to(self, device: str | torch.device) -> Self:
        """The generator itself, moved to a device."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All its tensors by name."""
        ...


class StyledGenerator(Generator, Protocol):
    """A generator whose layers read styles: it has the latent spaces W and W+, and noise maps."""

    styles: int
    """How many w the whole synthesis reads: the rows of W+."""

    def to_w(self, z: Tensor) -> Tensor:
        """Mapping network: z [..., D] ~ N(0, 1) -> w [..., D]."""
        ...

    def truncate(self, w: Tensor, psi: float, layers: int | None = None) -> Tensor:
        """w [B, D] or [B, styles, D] -> W+ [B, styles, D], the first `layers` styles (None: all) pulled to the mean."""
        ...

    def head(self, w: Tensor, layer: int, noise: Mapping[int, Tensor] | None = None) -> Tensor:
        """Features [B, C, h, w] after `layer` layers, of w [B, D] or W+ [B, styles, D]; `noise`: see `render`."""
        ...

    def synthesize(self, w: Tensor, noise: Mapping[int, Tensor] | None = None) -> Tensor:
        """w [B, D] or W+ [B, styles, D] -> images [B, 3, R, R]; `noise`: see `render`."""
        ...

    def fresh_noise(
        self, seeds: Sequence[int], device: str | torch.device = "cpu", start_layer: int = 0
    ) -> dict[int, Tensor]:
        """New maps [B, 1, h, w] of every layer after `start_layer`, for B = len(seeds) images."""
        ...


class TappedGenerator(StyledGenerator, Protocol):
    """A generator whose tail can be read in the middle, where a coarse head starts (`mgi.inversion.coarse`)."""

    def tail_features(self, features: Tensor, layer: int, w: Tensor, until: int) -> Tensor:
        """The tail from features [B, C, h, w] after `layer` layers up to layer `until`, in the order that heads read.

        Args:
            w: as in `render`, for the whole tail.
        """
        ...


class Bf16Generator(Generator, Protocol):
    """A generator that can also compute its features in bf16."""

    def set_precision(self, precision: str) -> Self:
        """`fp32` or `bf16` features; latents and images stay float32."""
        ...


# Each tests one member instead of calling `isinstance`: the search asks in every step, and `isinstance` would look up
# all twenty members of the protocol.


def is_styled(generator: Generator) -> TypeGuard[StyledGenerator]:
    """Whether a generator has styles, and with them W, W+ and noise."""
    return hasattr(generator, "to_w")


def is_tapped(generator: Generator) -> TypeGuard[TappedGenerator]:
    """Whether a coarse head can read a generator."""
    return hasattr(generator, "tail_features")


def has_bf16(generator: Generator) -> TypeGuard[Bf16Generator]:
    """Whether a generator computes in bf16."""
    return hasattr(generator, "set_precision")
