"""Differentiable augmentation (Zhao et al. 2020): real and generated images pass through the same random operations.

The discriminator then cannot learn the training images by heart, and gradients reach the generator through all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Operation = Callable[[Tensor, torch.Generator], Tensor]


def augment(images: Tensor, operations: Sequence[str], random: torch.Generator) -> Tensor:
    """Images [B, 3, R, R] through the named operations in order, each image with draws of its own.

    Raises:
        KeyError: an operation that is not in `OPERATIONS`.
    """
    for name in operations:
        images = OPERATIONS[name](images, random)
    return images


def _uniform(images: Tensor, random: torch.Generator) -> Tensor:
    """U(0, 1), one per image, broadcastable. Drawn on the CPU: the same numbers on every device."""
    return torch.rand(len(images), 1, 1, 1, generator=random).to(images)


def brightness(images: Tensor, random: torch.Generator) -> Tensor:
    """Adds U(-0.5, 0.5)."""
    return images + (_uniform(images, random) - 0.5)


def saturation(images: Tensor, random: torch.Generator) -> Tensor:
    """Distance from grey times U(0, 2)."""
    grey = images.mean(dim=1, keepdim=True)
    return grey + (images - grey) * (2 * _uniform(images, random))


def contrast(images: Tensor, random: torch.Generator) -> Tensor:
    """Distance from the image's mean times U(0.5, 1.5)."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + _uniform(images, random))


def translation(images: Tensor, random: torch.Generator, share: float = 0.125) -> Tensor:
    """Moved by up to an eighth of the side in each direction; 0, a middle grey, comes in."""
    rows = images.shape[-1]
    reach = round(rows * share)
    offsets = torch.randint(0, 2 * reach + 1, (2, len(images)), generator=random).to(images.device)
    padded = F.pad(images, (reach, reach, reach, reach))
    line = torch.arange(rows, device=images.device)
    row, column = (offset[:, None] + line for offset in offsets)
    which = torch.arange(len(images), device=images.device)[:, None, None]
    # Advanced indexing moves the channels to the end.
    return padded.permute(0, 2, 3, 1)[which, row[:, :, None], column[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: Tensor, random: torch.Generator, share: float = 0.5) -> Tensor:
    """A square of half the side set to zero, anywhere."""
    rows = images.shape[-1]
    size = round(rows * share)
    centres = torch.randint(0, rows, (2, len(images)), generator=random).to(images.device)
    line = torch.arange(rows, device=images.device)
    inside = [(line - centre[:, None]).abs() <= size // 2 for centre in centres]
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return images.masked_fill(hole[:, None], 0.0)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of `sigma` pixels, reflected at the borders."""
    reach = min(round(3 * sigma), images.shape[-1] - 1)
    if reach < 1:
        return images
    line = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-line.square() / (2 * sigma**2))
    channels = images.shape[1]
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel, groups=channels), kernel.transpose(2, 3), groups=channels)


OPERATIONS: dict[str, Operation] = {
    "brightness": brightness,
    "saturation": saturation,
    "contrast": contrast,
    "translation": translation,
    "cutout": cutout,
}
