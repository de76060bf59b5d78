"""A small encoder for CPUs: EfficientNet-Lite0's maps, pooled to 4 x 4, and three groups of heads.

About six million weights and 10 ms per picture. As in e4e, the first row says one style for all, and the others how
each differs from it; so a picture's rows stay alike unless something speaks for more.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.features.efficientnet import Lite0

SIDE = 128
READ = {"stride8": (40, 8.7), "stride16": (112, 4.4), "stride32": (320, 1.5)}
"""Layer -> its channels, and the standard deviation of its features, which differ."""
CHANNELS = sum(channels for channels, _ in READ.values())
CELLS, NARROW, HIDDEN = 4, 64, 384
GROUPS = 3
"""Coarse, middle and fine rows are said by a neck each."""


class Neck(nn.Module):
    """Maps [B, 472, 4, 4] -> [B, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(CHANNELS, NARROW, 1)
        self.wide = nn.Linear(NARROW * CELLS**2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        """What the heads of a group read."""
        return F.gelu(self.norm(self.wide(F.gelu(self.narrow(x)).flatten(1))))


class SmallEncoder(nn.Module):
    """Pictures [B, 3, 128, 128] in [-1, 1] -> coordinates [B, rows, K]; see `mgi.encoders.codes`.

    Args:
        body: EfficientNet-Lite0's folded tensors, or those of a trained encoder's `body`.
        rows: rows of coordinates.
        columns: K.
    """

    def __init__(self, body: Mapping[str, Tensor], rows: int, columns: int) -> None:
        super().__init__()
        self.body = Lite0(body)
        self.scale = nn.Parameter(torch.cat([torch.full((count,), 1 / spread) for count, spread in READ.values()]))
        self.necks = nn.ModuleList(Neck() for _ in range(min(GROUPS, rows)))
        heads = [nn.Linear(HIDDEN, columns) for _ in range(rows)]
        self.heads = nn.ModuleList(heads)
        for number, head in enumerate(heads):
            nn.init.normal_(head.weight, std=0.1 / HIDDEN**0.5 if number == 0 else 1e-4)
            nn.init.zeros_(head.bias)

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> SmallEncoder:
        """Built to the shapes of a state dict, and filled. Raises KeyError or RuntimeError: it is another network's."""
        rows = sum(name.startswith("heads.") and name.endswith(".weight") for name in tensors)
        body = {name.removeprefix("body."): x for name, x in tensors.items() if name.startswith("body.")}
        encoder = SmallEncoder(body, rows, len(tensors["heads.0.bias"]))
        encoder.load_state_dict(dict(tensors))
        return encoder

    def forward(self, images: Tensor) -> Tensor:
        """The coordinates."""
        maps = self.body(images, tuple(READ))
        cells = torch.cat([F.adaptive_avg_pool2d(layer, CELLS) for layer in maps.values()], dim=1)
        cells = cells * self.scale[:, None, None]
        seen = [neck(cells) for neck in self.necks]
        rows = len(self.heads)
        first, *others = (head(seen[number * len(seen) // rows]) for number, head in enumerate(self.heads))
        return torch.stack([first, *(first + other for other in others)], dim=1)
