"""The mean power spectrum of a batch: what a hatching or a grid shows in, and few discriminators on features see.

A pattern that repeats in the same direction in many pictures is a peak of the mean spectrum, however faint it is in
each. Powers are compared in the logarithm, so faint high frequencies count as much as strong low ones. Only what is too
much counts: asked for the power that soft pictures lack, a generator draws one bright dot into every sample, which has
all frequencies at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

FLOOR = 1e-4
"""Power per pixel that rounding to 8 bits has, about; below it nothing is seen."""


def spectrum_excess(images: Tensor, real: Tensor) -> Tensor:
    """Mean over frequencies of how far the images' log power is above that of the real ones; 0 where it is below.

    Args:
        images, real: [B, 3, R, R] in [-1, 1]; the powers of each batch are averaged before the logarithm.
    """
    return (_log_power(images) - _log_power(real)).relu().mean()


def _log_power(images: Tensor) -> Tensor:
    """[R, R / 2 + 1]."""
    rows = images.shape[-1]
    line = torch.hann_window(rows, periodic=False, device=images.device)
    window = line[:, None] * line[None, :]
    centred = images.float() - images.float().mean((2, 3), keepdim=True)
    power = torch.fft.rfft2(centred * window).abs().square().mean((0, 1)) / window.square().sum()
    return (power + FLOOR).log()
