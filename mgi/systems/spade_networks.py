"""SPADE's generator (Park et al., CVPR 2019) with any of three normalisations.

spade: the map of classes decides scale and bias of every place. sean (Zhu et al., CVPR 2020): so do style codes of the
exemplar's regions, in a learnt mixture. panoptic (Dundar et al., CVPR 2020): as spade, with convolutions and upsampling
that heed instances. Names of SPADE's parameters are those of the public code (NVlabs/SPADE).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.systems.layers import SLOPE
from mgi.systems.panoptic import PanopticConv, PanopticUpsample, smaller
from mgi.systems.regions import PerRegion, StyleEncoder, spread
from mgi.systems.segments import instances
from mgi.systems.spectral import plain, spectral

Normalization = Literal["spade", "sean", "panoptic"]


@dataclass(frozen=True)
class Scene:
    """What the layers of one pass know beside their features.

    Args:
        classes: the condition [B, M, S, S].
        codes: style codes [B, M, L] of an exemplar's regions (sean).
        identity: instances [B, S, S] (panoptic).
        random: draws sean's noise; on the CPU.
    """

    classes: Tensor
    codes: Tensor | None = None
    identity: Tensor | None = None
    random: torch.Generator | None = None


class BatchStatistics(nn.Module):
    """Batch normalisation without parameters: the batch's statistics in training, their running mean in translation."""

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w]."""
        return F.batch_norm(x, self.mean, self.variance, training=self.training)


class Modulation(nn.Module):
    """Scale and bias of every place from a map [B, M, h, w]."""

    def __init__(self, channels: int, maps: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(plain(nn.Conv2d(maps, hidden, 3, padding=1)), nn.ReLU())
        self.mlp_gamma = plain(nn.Conv2d(hidden, channels, 3, padding=1))
        self.mlp_beta = plain(nn.Conv2d(hidden, channels, 3, padding=1))

    def forward(self, map: Tensor) -> tuple[Tensor, Tensor]:
        """(gamma, beta) [B, C, h, w] each."""
        hidden = self.mlp_shared(map)
        return self.mlp_gamma(hidden), self.mlp_beta(hidden)


class Spade(Modulation):
    """SPADE's equation 1."""

    def __init__(self, channels: int, maps: int, hidden: int) -> None:
        super().__init__(channels, maps, hidden)
        self.param_free_norm = BatchStatistics(channels)

    def forward(self, x: Tensor, scene: Scene) -> Tensor:  # type: ignore[override]  # of features, by their scene
        """[B, C, h, w]."""
        gamma, beta = super().forward(_at(scene.classes, x))
        found: Tensor = self.param_free_norm(x) * (1 + gamma) + beta
        return found


class Sean(nn.Module):
    """SEAN's equations 1 to 3, with its noise; without style codes where `length` is 0."""

    def __init__(self, channels: int, maps: int, hidden: int, length: int) -> None:
        super().__init__()
        self.param_free_norm = BatchStatistics(channels)
        self.spade = Modulation(channels, maps, hidden)
        self.noise = nn.Parameter(torch.zeros(channels))
        self._styled = length > 0
        if self._styled:
            self.regions = plain(PerRegion(maps, length))
            self.gamma = plain(nn.Conv2d(length, channels, 3, padding=1))
            self.beta = plain(nn.Conv2d(length, channels, 3, padding=1))
            self.blending = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor, scene: Scene) -> Tensor:
        """[B, C, h, w]."""
        noise = torch.randn((len(x), 1, *x.shape[2:]), generator=scene.random).to(x)
        normal = self.param_free_norm(x + noise * self.noise[:, None, None])
        classes = _at(scene.classes, x)
        gamma, beta = self.spade(classes)
        if self._styled:
            assert scene.codes is not None
            style = spread(F.relu(self.regions(scene.codes)), classes)
            share = torch.sigmoid(self.blending)
            gamma = share[0] * self.gamma(style) + (1 - share[0]) * gamma
            beta = share[1] * self.beta(style) + (1 - share[1]) * beta
        found: Tensor = normal * (1 + gamma) + beta
        return found


@dataclass(frozen=True)
class Sizes:
    """What a generator is made of.

    Args:
        maps: channels of the condition.
        width: channels of the last layer.
        hidden: channels between a map and the scales that it decides.
        style: length of a style code.
        kind: the normalisation.
    """

    maps: int
    width: int
    hidden: int
    style: int
    kind: Normalization


class Block(nn.Module):
    """Residual block of two convolutions, each after a normalisation; `styled`: by style codes, too."""

    def __init__(self, inputs: int, outputs: int, sizes: Sizes, styled: bool = True) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self._panoptic = sizes.kind == "panoptic"

        def conv(before: int, after: int) -> nn.Module:
            return spectral(PanopticConv(before, after) if self._panoptic else nn.Conv2d(before, after, 3, padding=1))

        def norm(channels: int) -> nn.Module:
            if sizes.kind == "sean":
                return Sean(channels, sizes.maps, sizes.hidden, sizes.style if styled else 0)
            return Spade(channels, sizes.maps, sizes.hidden)

        self.conv_0, self.conv_1 = conv(inputs, middle), conv(middle, outputs)
        self.norm_0, self.norm_1 = norm(inputs), norm(middle)
        self._learnt = inputs != outputs
        if self._learnt:
            self.conv_s = spectral(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = norm(inputs)

    def forward(self, x: Tensor, scene: Scene) -> Tensor:
        """[B, I, h, w] -> [B, O, h, w]."""
        skip = self.conv_s(self.norm_s(x, scene)) if self._learnt else x
        x = self._conv(self.conv_0, F.leaky_relu(self.norm_0(x, scene), SLOPE), scene)
        return skip + self._conv(self.conv_1, F.leaky_relu(self.norm_1(x, scene), SLOPE), scene)

    def _conv(self, conv: nn.Module, x: Tensor, scene: Scene) -> Tensor:
        if self._panoptic:
            assert scene.identity is not None
            found: Tensor = conv(x, smaller(scene.identity, x.shape[-1]))
        else:
            found = conv(x)
        return found


class Generator(nn.Module):
    """A map of classes [B, M, S, S] -> pictures [B, 3, S, S] in [-1, 1].

    With 151 channels of the condition, 64 of width and 128 hidden, `spade` has 96,492,483 parameters, as the public
    code for ADE20K; `sean` with 19 has 266,907,361, which is the public code's number but for six that are never used.

    Args:
        sizes: what it is made of.
        doublings: 5, 6 or 7, as the public code's normal, more and most.
    """

    def __init__(self, sizes: Sizes, doublings: int) -> None:
        super().__init__()
        width, self._doublings = sizes.width, doublings
        self._kind = sizes.kind
        widths = [16 * width] * 3 + [8 * width, 4 * width, 2 * width, width] + [width // 2] * (doublings == 7)
        first = PanopticConv(sizes.maps, widths[0]) if self._kind == "panoptic" else None
        self.fc = plain(first or nn.Conv2d(sizes.maps, widths[0], 3, padding=1))
        names = ["head_0", "G_middle_0", "G_middle_1", *(f"up_{number}" for number in range(len(widths) - 3))]
        before = widths[0]
        self._names = names
        for name, after in zip(names, widths, strict=True):
            self.add_module(name, Block(before, after, sizes, styled=name != names[-1]))
            before = after
        self.conv_img = plain(nn.Conv2d(before, 3, 3, padding=1))
        if self._kind == "sean":
            self.encoder = plain(StyleEncoder(sizes.style, max(2, width // 2)))
        if self._kind == "panoptic":
            doubled = [inner for name, inner in zip(names, [widths[0], *widths], strict=False) if self._doubles(name)]
            self.larger = nn.ModuleList([plain(PanopticUpsample(sizes.maps, inner)) for inner in doubled])

    def _doubles(self, name: str) -> bool:
        """Whether features are doubled before a block."""
        return name == "G_middle_0" or name.startswith("up_") or (name == "G_middle_1" and self._doublings > 5)

    def forward(self, scene: Scene) -> Tensor:
        """The pictures."""
        start = scene.classes.shape[-1] >> self._doublings
        x = F.interpolate(scene.classes, size=(start, start), mode="nearest")
        if self._kind == "panoptic":
            assert scene.identity is not None
            x = self.fc(x, smaller(scene.identity, start))
        else:
            x = self.fc(x)
        done = 0
        for name in self._names:
            if self._doubles(name):
                x = self._larger(x, scene, done)
                done += 1
            x = self.get_submodule(name)(x, scene)
        return torch.tanh(self.conv_img(F.leaky_relu(x, SLOPE)))

    def _larger(self, x: Tensor, scene: Scene, number: int) -> Tensor:
        if self._kind != "panoptic":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        assert scene.identity is not None
        size = x.shape[-1]
        coarse, fine = smaller(scene.identity, size), smaller(scene.identity, 2 * size)
        classes = F.interpolate(scene.classes, size=(2 * size, 2 * size), mode="nearest")
        found: Tensor = self.larger[number](x, coarse, fine, classes)
        return found


def identity_of(classes: Tensor) -> Tensor:
    """Instances [B, S, S] of a one-hot map: the connected regions of its classes."""
    labels = classes.argmax(1).to(torch.uint8).cpu().numpy()
    return torch.from_numpy(np.stack([instances(each) for each in labels])).to(classes.device)


def _at(map: Tensor, x: Tensor) -> Tensor:
    return F.interpolate(map, size=x.shape[2:], mode="nearest")
