"""E2Style (Wei et al., TIP 2022): styles from three maps of a shallow IR-SE-50, refined by looking at the first result.

Every later stage sees the picture beside what the generator makes of the styles so far, and says how they change.
Names of parameters are those of the public code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.encoders.pyramid import SIDE
from mgi.features import ir_se50
from mgi.features.ir_se50 import bodies, stem

CELLS = 7
TAPS = {"output_layer_5": 2, "output_layer_4": 6, "output_layer_3": 20}
"""Blocks after which each head looks: at 128, 64 and 32 rows, for the fine, middle and coarse styles."""
COARSE_FIRST = ("output_layer_3", "output_layer_4", "output_layer_5")
Synthesise = Callable[[Tensor], Tensor]
"""W+ [B, styles, D] -> pictures [B, 3, R, R]."""


class Stage(nn.Module):
    """Pictures [B, I, 256, 256] -> styles [B, styles, D].

    Args:
        inputs: 3, or 6 with a result beside each picture.
        counts: styles of every head, coarse ones first.
        width: D.
    """

    def __init__(self, inputs: int, counts: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.input_layer, self.body = stem(inputs), bodies()
        self._width = width
        last = [channels for channels, count in ir_se50.STAGES for _ in range(count)]
        for (name, tap), count in zip(reversed(TAPS.items()), counts, strict=True):
            head = nn.Linear(last[tap] * CELLS**2, width * count)
            cells = nn.AdaptiveAvgPool2d(CELLS)
            self.add_module(name, nn.Sequential(nn.BatchNorm2d(last[tap]), cells, nn.Flatten(), head))

    def forward(self, images: Tensor) -> Tensor:
        """The styles, coarse ones first."""
        x, found = self.input_layer(images), {}
        for number, block in enumerate(self.body[: max(TAPS.values()) + 1]):
            x = block(x)
            for name, tap in TAPS.items():
                if tap == number:
                    found[name] = self.get_submodule(name)(x).unflatten(1, (-1, self._width))
        return torch.cat([found[name] for name in COARSE_FIRST], dim=1)


class StagedEncoder(nn.Module):
    """The first stage and those that refine it."""

    def __init__(self, stages: int, counts: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.styles = sum(counts)
        self.encoder_firststage = Stage(3, counts, width)
        self.encoder_refinestage_list = nn.ModuleList(Stage(6, counts, width) for _ in range(stages - 1))

    @staticmethod
    def of(tensors: Mapping[str, Tensor]) -> StagedEncoder:
        """Built to the shapes of a checkpoint's tensors. Raises KeyError: it lacks a layer."""
        width = int(tensors["latent_avg"].shape[-1])
        rows = (tensors[f"encoder_firststage.{name}.3.bias"].shape[0] for name in COARSE_FIRST)
        more = {key.split(".")[1] for key in tensors if key.startswith("encoder_refinestage_list.")}
        return StagedEncoder(1 + len(more), tuple(int(count) // width for count in rows), width)

    def forward(self, images: Tensor, mean: Tensor, synthesise: Synthesise) -> Tensor:
        """Pictures [B, 3, 256, 256] in [-1, 1] and the mean latent -> W+ [B, styles, D]."""
        styles = self.encoder_firststage(images) + mean
        for stage in self.encoder_refinestage_list:
            made = F.adaptive_avg_pool2d(synthesise(styles), SIDE)
            styles = styles + stage(torch.cat([images, made], dim=1))
        return styles
