"""Views and networks for the tests of metrics: smooth pictures, a narrow random VGG, and its own domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from published import random_vgg
from tiny_features import smooth_pictures
from torch import Tensor

from mgi.features import VGG, Backbone
from mgi.features.lpips import LAYERS, LPIPS
from mgi.metrics.bands import DetailStatistics, build_detail
from mgi.metrics.base import Views
from mgi.metrics.domain import DomainStatistics, build_statistics

LAYER = "relu2_2"
"""Of the domain's features: 128 locations on 256 rows, so that all rules apply."""


class Renamed:
    """A VGG whose layer relu4_3 has the names of EfficientNet-Lite0's."""

    name, unit = "renamed", 1.0
    layers = ("stride16", "stride32")

    def channels(self, layer: str) -> int:
        return narrow_vgg().channels("relu4_3")

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        return dict.fromkeys(layers, narrow_vgg()(images, ["relu4_3"])["relu4_3"])


class Described:
    """A VGG whose layer relu4_3 is called as a descriptor's."""

    name, unit, layers = "described", 1.0, ("generator",)

    def channels(self, layer: str) -> int:
        return narrow_vgg().channels("relu4_3")

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        return {"generator": narrow_vgg()(images, ["relu4_3"])["relu4_3"]}


class Face:
    """A VGG whose layer relu4_3 is one vector of unit length."""

    name, unit, layers = "face", 1.0, ("embedding",)

    def channels(self, layer: str) -> int:
        return narrow_vgg().channels("relu4_3") * 16

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        cells = F.adaptive_avg_pool2d(narrow_vgg()(images, ["relu4_3"])["relu4_3"], 4).flatten(1)
        return {"embedding": F.normalize(cells)[:, :, None, None]}


@cache
def narrow_vgg() -> VGG:
    return random_vgg()


@cache
def narrow_lpips() -> LPIPS:
    """Five narrow blocks and positive channel weights, both random."""
    random, tensors, heads, inputs = torch.Generator().manual_seed(2), {}, {}, 3
    for block, count in enumerate((2, 2, 3, 3, 3), start=1):
        for index in range(1, count + 1):
            weight = torch.randn(4 * block, inputs, 3, 3, generator=random) * (2 / (9 * inputs)) ** 0.5
            tensors |= {f"conv{block}_{index}.weight": weight, f"conv{block}_{index}.bias": weight.mean((1, 2, 3))}
            inputs = 4 * block
        heads[LAYERS[block - 1]] = torch.rand(inputs, generator=random)
    return LPIPS(tensors, heads, "fp32")


def networks(name: str) -> Backbone:
    """Random networks under the zoo's names."""
    known: dict[str, Callable[[], Backbone]] = {
        "efficientnet-lite0": Renamed,
        "lpips-vgg": narrow_lpips,
        "descriptor-mobile-stylegan-ffhq": Described,
        "ir-se50": Face,
    }
    return known.get(name, narrow_vgg)()


def pictures(count: int, rows: int = 256) -> Tensor:
    """[count, 3, rows, rows] in [-1, 1], all different."""
    first, second = smooth_pictures((count + 1) // 2, rows)
    return torch.cat([first, second])[:count]


@cache
def domain() -> DomainStatistics:
    batches = [picture[None] for picture in pictures(6)]
    return build_statistics(batches, narrow_vgg(), LAYER, components=4, made_from="smooth pictures")


@cache
def detail() -> DetailStatistics:
    return build_detail((noisier(picture[None], 0.2) for picture in pictures(6)), "noisy pictures")


def whole_views(result: Tensor, target: Tensor) -> Views:
    """A pair that has everything, with the same picture for source, exemplar and warp."""
    return Views(result, target, target, target, domain(), detail())


def noisier(image: Tensor, amount: float) -> Tensor:
    """With this much of the same noise; in [-1, 1]."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(5))
    return (image + amount * noise).clamp(-1, 1)
