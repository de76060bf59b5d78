"""A tiny VGG and smooth pictures, for the tests of the correspondence."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.features import VGG


def tiny_vgg(name: str = "tiny", seed: int = 1, convention: str = "torchvision-rgb") -> VGG:
    """Two blocks of two convolutions, 6 and 8 channels."""
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for step, (rows, columns) in {"1_1": (6, 3), "1_2": (6, 6), "2_1": (8, 6), "2_2": (8, 8)}.items():
        scale = (2 / (9 * columns)) ** 0.5
        tensors[f"conv{step}.weight"] = scale * torch.randn(rows, columns, 3, 3, generator=random)
        tensors[f"conv{step}.bias"] = 0.1 * torch.randn(rows, generator=random)
    return VGG(name, tensors, convention)


def smooth_pictures(count: int, size: int = 64) -> tuple[Tensor, Tensor]:
    """Sources and exemplars [count, 3, size, size] in [-1, 1], of soft blobs."""
    random = torch.Generator().manual_seed(2)
    coarse = 2 * torch.rand(2, count, 3, 8, 8, generator=random) - 1
    images = F.interpolate(coarse.flatten(0, 1), size=size, mode="bicubic").clamp(-1, 1).unflatten(0, (2, count))
    return images[0], images[1]
