"""What all generators share: their error, the fusion of codes and the check of a composing layer."""

from __future__ import annotations

import torch
from torch import Tensor


class GeneratorError(ValueError):
    """A checkpoint cannot be used as a generator; the message is one line and says what to change."""


def fuse(features: Tensor, alpha: Tensor) -> Tensor:
    """Features of N codes as one, by adaptive channel importance (mGANprior): sum over n of alpha_n * F_n, over N.

    What is inside F(z; W_I^n) of MGI equation 7.

    The division by N comes on top of alpha's usual start at 1/N, as published; it only scales alpha's step size.

    Args:
        features: [B, N, C, h, w].
        alpha: [B, N, C].

    Returns:
        [B, C, h, w].
    """
    return torch.einsum("bnchw,bnc->bchw", features, alpha / features.shape[1])


def require_layer(name: str, layers: int, layer: int) -> None:
    """Raise GeneratorError unless codes can be composed at `layer`."""
    if not 1 <= layer <= layers:
        raise GeneratorError(f"{name} has no composing layer {layer}; use 1 to {layers}")
