"""Feature-pyramid encoders to W+ of pSp (Richardson et al., CVPR 2021) and e4e (Tov et al., SIGGRAPH 2021).

An IR-SE-50 gives maps of 16, 32 and 64 rows of a picture of 256; each style has a head on one of them. pSp's heads say
the styles one by one; e4e's first head says one style for all, the others how each differs from it. Names of parameters
are those of the public code.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.equalised import EqualisedLinear
from mgi.features.ir_se50 import bodies, stem

Kind = Literal["psp", "e4e"]
SIDE = 256
COARSE, MIDDLE = 3, 7
"""Styles from which on heads look at 32 and at 64 rows."""
TAPS = {6: 128, 20: 256, 23: 512}
"""Blocks whose outputs are used, and their channels: 64, 32 and 16 rows."""
WIDTH = 512


class Head(nn.Module):
    """map2style: a map [B, 512, R, R], halved until one place is left -> a style [B, 512]."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(int(math.log2(rows))):
            layers += [nn.Conv2d(WIDTH, WIDTH, 3, 2, 1), nn.LeakyReLU()]
        self.convs, self.linear = nn.Sequential(*layers), EqualisedLinear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """The style."""
        found: Tensor = self.linear(self.convs(x).flatten(1))
        return found


class PyramidEncoder(nn.Module):
    """Pictures [B, 3, 256, 256] in [-1, 1] -> styles [B, styles, 512], as differences from the mean latent.

    Args:
        styles: rows of the generator's W+.
        kind: psp or e4e; both have the same parameters.
    """

    def __init__(self, styles: int, kind: Kind) -> None:
        super().__init__()
        self.kind = kind
        self.input_layer, self.body = stem(), bodies()
        rows = [16 if number < COARSE else 32 if number < MIDDLE else 64 for number in range(styles)]
        self.styles = nn.ModuleList(Head(count) for count in rows)
        self.latlayer1, self.latlayer2 = nn.Conv2d(TAPS[20], WIDTH, 1), nn.Conv2d(TAPS[6], WIDTH, 1)

    def forward(self, images: Tensor) -> Tensor:
        """The styles."""
        x, maps = self.input_layer(images), []
        for number, block in enumerate(self.body):
            x = block(x)
            if number in TAPS:
                maps.append(x)
        fine, middle, coarse = maps
        middle = _added(coarse, self.latlayer1(middle))
        fine = _added(middle, self.latlayer2(fine))
        seen = [
            coarse if number < COARSE else middle if number < MIDDLE else fine for number in range(len(self.styles))
        ]
        found = torch.stack([head(map) for head, map in zip(self.styles, seen, strict=True)], dim=1)
        if self.kind == "e4e":
            found = torch.cat([found[:, :1], found[:, :1] + found[:, 1:]], dim=1)
        return found


def _added(coarse: Tensor, fine: Tensor) -> Tensor:
    return F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=True) + fine
