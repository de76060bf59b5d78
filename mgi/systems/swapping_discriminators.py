"""Both discriminators of the Swapping Autoencoder: StyleGAN2's for pictures, and one for patches that belong together.

The second judges whether patches of one picture could be of another's texture (Park et al. 2020, equation 4).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.equalised import EqualisedLinear
from mgi.systems.swapping_layers import GAIN, SLOPE, Residual, convolution

_BLUR = (1, 3, 3, 1)
SCALES = 1 / 8, 1 / 4
"""Smallest and largest side of a patch, as a share of the picture's."""


class ImageDiscriminator(nn.Module):
    """Pictures [B, 3, S, S] -> logits [B, 1]; StyleGAN2's residual one without the minibatch's deviation.

    At 256 pixels and a width of 32 it has 28,859,521 parameters, as the public code.

    Args:
        size: S, a power of two.
        width: channels that the encoder begins with.
        capacity: what its channels are multiplied by where features have 16 rows or more.
    """

    def __init__(self, size: int, width: int, capacity: float = 1.0) -> None:
        super().__init__()
        last = 16 * width
        widths = [
            last if rows < 16 else min(last, int(1024 * width * capacity / max(rows, 32))) for rows in _sides(size)
        ]
        self.convs = nn.Sequential(
            convolution(3, widths[0], 1), *(Residual(*channels, _BLUR) for channels in pairwise(widths))
        )
        self.final_conv = convolution(last, last, 3)
        self.final_linear = nn.Sequential(ActiveLinear(last * 4 * 4, last), EqualisedLinear(last, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        found: Tensor = self.final_linear(self.final_conv(self.convs(x)).flatten(1))
        return found


class PatchDiscriminator(nn.Module):
    """Features of patches [B, T, 3, s, s] and, from two sets of them, logits [B T, 1]: whether they belong together.

    For patches of 128 pixels and a width of 32 it has 24,522,145 parameters, as the public code.

    Args:
        side: s, a power of two.
        width: channels that the encoder begins with.
    """

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        widest = 12 * width
        # The cap holds for the smallest three sizes alone, as in the public code.
        widths = [min(widest, 128 * width // rows) if rows <= 16 else 128 * width // rows for rows in _sides(side)]
        self.convs = nn.Sequential(
            convolution(3, widths[0], 3),
            *(Residual(*channels, _BLUR) for channels in pairwise(widths)),
            Residual(widths[-1], 2 * widest, ()),
            convolution(2 * widest, widest, 3, padded=False),
        )
        hidden = 2 * widest * 2 * 2, 64 * width, 64 * width, 32 * width
        layers = [ActiveLinear(inputs, outputs) for inputs, outputs in pairwise(hidden)]
        self.pairlinear = nn.Sequential(*layers, EqualisedLinear(hidden[-1], 1))

    def features(self, patches: Tensor, together: bool = False) -> Tensor:
        """[B, T, 3, s, s] -> [B, T, F]; `together`: the mean of a picture's patches for each of them."""
        found: Tensor = self.convs(patches.flatten(0, 1)).flatten(1).unflatten(0, patches.shape[:2])
        return found.mean(1, keepdim=True).expand_as(found) if together else found

    def forward(self, references: Tensor, patches: Tensor) -> Tensor:
        """Two sets of features [B, T, F] -> [B T, 1]."""
        # The public code puts a patch's channels first, then the other's.
        found: Tensor = self.pairlinear(torch.cat([references, patches], -1).flatten(0, 1))
        return found


class ActiveLinear(EqualisedLinear):
    """Linear layer, leaky ReLU, and a gain that keeps the variance."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, I] -> [B, O]."""
        return F.leaky_relu(super().forward(x), SLOPE) * GAIN


def random_patches(x: Tensor, count: int, side: int, random: torch.Generator) -> Tensor:
    """Patches at random places, mirrored half of the time: [B, C, S, S] -> [B, count, C, side, side].

    Their rows and columns are each of an eighth to a quarter of the picture's; they are sampled bilinearly.
    """
    total = len(x) * count
    mirror = torch.round(torch.rand(total, 1, 1, 1, generator=random)) * 2 - 1
    scale = SCALES[0] + torch.rand(total, 1, 1, 2, generator=random) * (SCALES[1] - SCALES[0])
    centre = (2 * torch.rand(total, 1, 1, 2, generator=random) - 1) * (1 - scale)
    line = torch.linspace(-1, 1, side)
    down, right = torch.meshgrid(line, line, indexing="ij")
    places = torch.stack([right.expand(total, -1, -1) * mirror[..., 0], down.expand(total, -1, -1)], -1)
    grid = (places * scale + centre).to(x)
    pictures = x.repeat_interleave(count, 0)
    return F.grid_sample(pictures, grid, align_corners=False).unflatten(0, (len(x), count))


def _sides(size: int) -> list[int]:
    """Rows of features from a picture's down to 4.

    Example:
        >>> _sides(32)
        [32, 16, 8, 4]
    """
    found = [size]
    while found[-1] > 4:
        found.append(found[-1] // 2)
    return found
