"""SEAN's style codes (Zhu et al., CVPR 2020): one per region of an exemplar, and the same as plain loops."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.systems.layers import SLOPE


def region_means(features: Tensor, classes: Tensor) -> Tensor:
    """Region-wise average pooling: the mean feature of every class, 0 of those that are not there.

    Args:
        features: [B, C, h, w].
        classes: one-hot [B, N, h, w].

    Returns:
        [B, N, C].
    """
    areas = classes.sum((2, 3))
    sums = torch.einsum("bchw,bnhw->bnc", features, classes)
    return sums / areas.clamp(min=1)[..., None]


def region_means_reference(features: Tensor, classes: Tensor) -> Tensor:
    """`region_means`, region by region."""
    count, channels, height, width = features.shape
    found = torch.zeros(count, classes.shape[1], channels)
    for number, label in itertools.product(range(count), range(classes.shape[1])):
        inside = [
            features[number, :, row, column]
            for row, column in itertools.product(range(height), range(width))
            if classes[number, label, row, column] == 1
        ]
        if inside:
            found[number, label] = torch.stack(inside).mean(0)
    return found


def spread(codes: Tensor, classes: Tensor) -> Tensor:
    """The code of every place's region: codes [B, N, C] and classes [B, N, h, w] -> [B, C, h, w]."""
    return torch.einsum("bnc,bnhw->bchw", codes, classes)


def spread_reference(codes: Tensor, classes: Tensor) -> Tensor:
    """`spread`, place by place."""
    count, _, height, width = classes.shape
    found = torch.zeros(count, codes.shape[2], height, width)
    for number, row, column in itertools.product(range(count), range(height), range(width)):
        for label in range(classes.shape[1]):
            if classes[number, label, row, column] == 1:
                found[number, :, row, column] = codes[number, label]
    return found


class PerRegion(nn.Module):
    """A linear layer of its own for every class: [B, N, I] -> [B, N, I]; it starts as the others do."""

    def __init__(self, classes: int, length: int) -> None:
        super().__init__()
        self.each = nn.ModuleList([nn.Linear(length, length) for _ in range(classes)])

    def forward(self, codes: Tensor) -> Tensor:
        """[B, N, I] -> [B, N, I]."""
        layers = [layer for layer in self.each if isinstance(layer, nn.Linear)]
        weight, bias = torch.stack([x.weight for x in layers]), torch.stack([x.bias for x in layers])
        return torch.einsum("bni,noi->bno", codes, weight) + bias


class StyleEncoder(nn.Module):
    """Picture and map of classes -> style codes [B, N, C] in [-1, 1]; the features have half the picture's rows.

    Args:
        length: C, 512 as published.
        width: channels of the first layer, 32 as published.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()

        def normed(layer: nn.Module, channels: int) -> list[nn.Module]:
            return [layer, nn.InstanceNorm2d(channels), nn.LeakyReLU(SLOPE)]

        larger = nn.ConvTranspose2d(4 * width, 8 * width, 3, 2, padding=1, output_padding=1)
        self.layers = nn.Sequential(
            *normed(nn.Conv2d(3, width, 3, padding=1, padding_mode="reflect"), width),
            *normed(nn.Conv2d(width, 2 * width, 3, 2, padding=1), 2 * width),
            *normed(nn.Conv2d(2 * width, 4 * width, 3, 2, padding=1), 4 * width),
            *normed(larger, 8 * width),
            nn.Conv2d(8 * width, length, 3, padding=1, padding_mode="reflect"),
            nn.Tanh(),
        )

    def forward(self, picture: Tensor, classes: Tensor) -> Tensor:
        """Pictures [B, 3, S, S] and classes [B, N, S, S]."""
        features = self.layers(picture)
        return region_means(features, F.interpolate(classes, size=features.shape[2:], mode="nearest"))
