"""The generator of pix2pix: an encoder to one place and back, with a skip at every size (Isola et al. 2017, 6.1.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.systems.layers import SLOPE, norm_of, normal_weights

WIDEST = 8
"""Largest multiple of the first layer's channels."""
DROPPED = 3
"""Layers of the decoder with dropout, the smallest ones that do not lead to one place."""


class UNet(nn.Module):
    """Pictures [B, I, S, S] -> [B, O, S, S] in [-1, 1]; S is a power of two.

    Noise comes from dropout, in training and translation alike (their section 3.2). At 256 pixels and 64 channels it
    has 54,413,955 parameters for three channels, as the public code.

    Args:
        inputs, outputs: channels.
        width: channels of the first layer.
        downs: halvings; log2(S) ends at one place.
        dropout: share of features that is dropped where there is dropout.
    """

    def __init__(self, inputs: int, outputs: int, width: int, downs: int, dropout: float = 0.5) -> None:
        super().__init__()
        widths = [width * min(WIDEST, 2**number) for number in range(downs)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.down_norms, self.up_norms = nn.ModuleList(), nn.ModuleList()
        before = inputs
        for number, after in enumerate(widths):
            normed = 0 < number < downs - 1  # neither the first layer nor the one place, which it would make 0
            self.down.append(nn.Conv2d(before, after, 4, 2, 1, bias=False))
            self.down_norms.append(norm_of("batch" if normed else "none", after))
            before = after
        for number in reversed(range(downs)):
            after = widths[number - 1] if number else outputs
            inner = widths[number] if number == downs - 1 else 2 * widths[number]
            self.up.append(nn.ConvTranspose2d(inner, after, 4, 2, 1, bias=number == 0))
            self.up_norms.append(norm_of("batch" if number else "none", after))
        self._dropout, self._dropped = dropout, range(1, min(1 + DROPPED, downs - 4)) if downs > 5 else range(0)
        normal_weights(self)

    def forward(self, x: Tensor, random: torch.Generator | None = None) -> Tensor:
        """`random` draws what is dropped; None: nothing is."""
        skips = []
        for number, (down, norm) in enumerate(zip(self.down, self.down_norms, strict=True)):
            x = norm(down(F.leaky_relu(x, SLOPE) if number else x))
            skips.append(x)
        for number, (up, norm) in enumerate(zip(self.up, self.up_norms, strict=True)):
            x = x if number == 0 else torch.cat([skips[-1 - number], x], 1)
            x = norm(up(F.relu(x)))
            if random is not None and number in self._dropped:
                kept = torch.rand(x.shape, generator=random).to(x.device) >= self._dropout
                x = x * kept / (1 - self._dropout)
        return torch.tanh(x)
