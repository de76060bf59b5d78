"""Ranges, resizing and degradations of images: pure tensor functions.

Inside `mgi` an image batch is float32 [B, 3, H, W] in [-1, 1]; on disk and between stages it is uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's mode L


def to_float(images_uint8: np.ndarray | Tensor, device: str | torch.device = "cpu") -> Tensor:
    """uint8 RGB [H, W, 3] or [B, H, W, 3] -> float32 [B, 3, H, W] in [-1, 1].

    Raises:
        ValueError: the array is not uint8 or its last axis is not RGB.
    """
    is_rgb = images_uint8.ndim in (3, 4) and images_uint8.shape[-1] == 3
    if images_uint8.dtype not in (np.uint8, torch.uint8) or not is_rgb:
        raise ValueError(
            f"expected uint8 RGB of shape [H, W, 3] or [B, H, W, 3], found {images_uint8.dtype} of shape "
            f"{tuple(images_uint8.shape)}; convert the picture to 8-bit RGB first"
        )
    images = images_uint8 if isinstance(images_uint8, Tensor) else torch.from_numpy(np.array(images_uint8, copy=True))
    if images.ndim == 3:
        images = images.unsqueeze(0)
    return images.to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1).contiguous()


def to_uint8(images: Tensor) -> np.ndarray:
    """float [B, 3, H, W] in [-1, 1] (clipped) -> uint8 [B, H, W, 3]; inverse of `to_float` on 8-bit values."""
    levels = images.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def resize(images: Tensor, size: int | tuple[int, int], mode: Literal["bilinear", "area"] = "bilinear") -> Tensor:
    """[B, C, H, W] -> [B, C, *size].

    `bilinear` is antialiased when it shrinks, so a large photo does not alias; `area` is the mean over each target
    cell, exact if the sizes divide.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if images.shape[-2:] == (height, width):
        return images
    if mode == "area":
        return F.interpolate(images, size=(height, width), mode="area")
    # When enlarging, the antialiased kernel gives the same result and is up to twenty times slower in channels-last
    # memory.
    shrinks = height < images.shape[-2] or width < images.shape[-1]
    return F.interpolate(images, size=(height, width), mode="bilinear", align_corners=False, antialias=shrinks)


def down(images: Tensor, factor: int) -> Tensor:
    """The operator "down" of MGI equation 7: the exact mean of every factor x factor cell.

    Raises:
        ValueError: rows or columns are not a multiple of `factor`.
    """
    height, width = images.shape[-2:]
    if height % factor or width % factor:
        raise ValueError(
            f"{height}x{width} pixels have no whole {factor}x{factor} cells; use a factor that divides both"
        )
    return images if factor == 1 else F.avg_pool2d(images, factor)


def halvings(images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Images [B, C, S, S] with themselves at half as many rows, again and again, until rows are odd."""
    while images.shape[-1] % 2 == 0:
        smaller = down(images, 2)
        yield images, smaller
        images = smaller


def band(images: Tensor, smaller: Tensor) -> Tensor:
    """The band of detail of images that is lost at half as many rows; its deviation is the band's strength."""
    return images - F.interpolate(smaller, scale_factor=2)


def luminance(images: Tensor) -> Tensor:
    """Y of RGB images [B, 3, H, W] -> [B, 1, H, W], in their range."""
    return (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def centre_crop_square(images: Tensor) -> Tensor:
    """The largest centred square of [..., H, W]; an extra odd pixel is cut from the bottom or right."""
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def fit_square(images: Tensor, size: int) -> Tensor:
    """Centre-crop to a square, then resize to size x size: how unaligned pictures of any shape enter the method."""
    return resize(centre_crop_square(images), size)
