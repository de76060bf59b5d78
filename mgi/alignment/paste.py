"""Putting an aligned result back into the photograph that it was cut from: the inverse of `template.align_image`."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ACROSS, DOWN = 0.46, 0.5
"""Half axes of the ellipse that is pasted, in sides of the square: heads are taller than wide, and a square of another
background around one would show."""
FEATHER = 0.3
"""Width of the blend at the border of the ellipse, as a share of its half axes."""
TRUSTED, UNTRUSTED = 0.5, 0.1
"""Confidence, averaged over the neighbourhood, from which the result is shown whole, and below which the photo is."""
SMOOTH = 0.08
"""Reach of that average, as a share of the side."""


def paste_back(photo: np.ndarray, result: np.ndarray, quad: Tensor, confidence: np.ndarray | None = None) -> np.ndarray:
    """The photograph with the result in its place.

    Args:
        photo: uint8 [H, W, 3].
        result: uint8 [R, R, 3], of the square `quad`; reduced by area first where it is larger than its place.
        quad: corners [4, 2] (top left, bottom left, bottom right, top right; x, y) in pixels of the photograph.
        confidence: uint8 [G, G], how far the warp is trusted; where it is not, the photograph stays. None: everywhere.

    Returns:
        uint8 [H, W, 3]; pixels outside the ellipse in the square are the photograph's, bit for bit.
    """
    height, width = photo.shape[:2]
    low, high = quad.amin(0).floor(), quad.amax(0).ceil()
    left, top = (int(max(0, v)) for v in low)
    right, bottom = min(width, int(high[0])), min(height, int(high[1]))
    if left >= right or top >= bottom:
        return photo.copy()
    places = _places(quad, left, top, right, bottom)
    alpha = _feather(places)
    if confidence is not None:
        alpha = alpha * _sample(_trust(confidence), places)[0, 0]
    side = float((quad[2] - quad[1]).norm())
    image = torch.from_numpy(np.ascontiguousarray(result)).permute(2, 0, 1)[None].float()
    shrink = math.floor(result.shape[0] / max(side, 1))
    if shrink > 1:
        rows = result.shape[0] // shrink
        image = F.interpolate(image[..., : rows * shrink, : rows * shrink], size=(rows, rows), mode="area")
    shown = _sample(image, places)[0].permute(1, 2, 0)
    pasted = photo.copy()
    under = torch.from_numpy(pasted[top:bottom, left:right].copy()).float()
    mixed = torch.lerp(under, shown, alpha[..., None]).round().clamp(0, 255).to(torch.uint8).numpy()
    pasted[top:bottom, left:right] = np.where(alpha.numpy()[..., None] > 0, mixed, pasted[top:bottom, left:right])
    return pasted


def _places(quad: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Where the photograph's pixels are in the square, x and y in [0, 1] within it: [h, w, 2]."""
    quad = quad.double()
    basis = torch.stack([quad[3] - quad[0], quad[1] - quad[0]], dim=1)  # columns: to the right, to the bottom
    x, y = torch.arange(left, right).double() + 0.5, torch.arange(top, bottom).double() + 0.5
    across, down = torch.meshgrid(x, y, indexing="xy")
    return ((torch.stack([across, down], dim=-1) - quad[0]) @ torch.linalg.inv(basis).t()).float()


def _feather(places: Tensor) -> Tensor:
    """1 inside, falling to 0 at the border of the ellipse: [h, w]."""
    radius = ((places - 0.5) / torch.tensor([ACROSS, DOWN])).norm(dim=-1)
    return _eased((1 - radius) / FEATHER)


def _trust(confidence: np.ndarray) -> Tensor:
    """[1, 1, G, G] in [0, 1], smooth."""
    radius = max(1, round(SMOOTH * len(confidence)))
    values = torch.from_numpy(np.ascontiguousarray(confidence)).float()[None, None] / 255
    for _ in range(2):
        values = F.avg_pool2d(F.pad(values, (radius,) * 4, mode="replicate"), 2 * radius + 1, stride=1)
    return _eased((values - UNTRUSTED) / (TRUSTED - UNTRUSTED))


def _eased(values: Tensor) -> Tensor:
    """0 below 0, 1 above 1, and smooth between."""
    t = values.clamp(0, 1)
    return t * t * (3 - 2 * t)


def _sample(images: Tensor, places: Tensor) -> Tensor:
    return F.grid_sample(images, (places * 2 - 1)[None], mode="bilinear", padding_mode="border", align_corners=False)
