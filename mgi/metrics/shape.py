"""Shape similarity (SketchyCOCO, section 5.1): do the result's edges run as the source's do?

Edges of both by Canny, oriented by Gabor filters, their strength in cells; the distance between both. The paper has no
numbers of the filters; here they are 8 directions of 2 wavelengths, in overlapping cells of 16 pixels.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.canny import canny, luma
from mgi.images import to_uint8
from mgi.metrics.base import Networks, PairMetric, Views

ROWS, CELL = 128, 8
DIRECTIONS, WAVELENGTHS = 8, (4.0, 8.0)
DRAWN = 0.3
"""A picture of two tones is a drawing if one of them has less than this share of the pixels."""


def shape_difference(image: Tensor, target: Tensor) -> float:
    """L2 distance between Gabor features of unit length, of images [1, 3, 128, 128] in [-1, 1]: 0 to sqrt 2."""
    x, y = (oriented(lines(picture)) for picture in (image, target))
    return float((x - y).norm())


def lines(image: Tensor) -> Tensor:
    """Edges [1, 1, H, W], 0 or 1, of [1, 3, H, W]; of a drawing, few pixels of one tone on another, those pixels."""
    grey = np.rint(luma(to_uint8(image)[0]))
    tones, counts = np.unique(grey, return_counts=True)
    drawn = len(tones) == 2 and counts.min() < DRAWN * counts.sum()
    found = grey == tones[counts.argmin()] if drawn else canny(grey)
    return torch.from_numpy(found.astype(np.float32))[None, None].to(image.device)


def oriented(edges: Tensor) -> Tensor:
    """Edges [1, 1, H, W] -> strengths by direction, wavelength and cell, one vector of unit length, or zeros."""
    even, odd = _filters()
    parts = [F.conv2d(edges, bank.to(edges), padding="same") for bank in (even, odd)]
    strength = F.avg_pool2d((parts[0].square() + parts[1].square()).sqrt(), 2 * CELL, CELL).flatten()
    return strength / strength.norm().clamp(min=1e-12)


@functools.cache
def _filters() -> tuple[Tensor, Tensor]:
    """Cosine and sine parts [16, 1, n, n] without a mean, sigma half a wavelength."""
    reach = int(2 * max(WAVELENGTHS) / 2 + 1)
    y, x = torch.meshgrid(*(torch.arange(-reach, reach + 1.0),) * 2, indexing="ij")
    even, odd = [], []
    for wavelength in WAVELENGTHS:
        window = torch.exp(-(x.square() + y.square()) / (2 * (wavelength / 2) ** 2))
        window = window / window.sum()
        for number in range(DIRECTIONS):
            angle = math.pi * number / DIRECTIONS
            phase = 2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / wavelength
            cosine = window * phase.cos()
            even.append(cosine - window * cosine.sum())
            odd.append(window * phase.sin())
    return torch.stack(even)[:, None], torch.stack(odd)[:, None]


def _measure(views: Views, networks: Networks) -> float:
    assert views.source is not None
    finite = bool(torch.isfinite(views.result).all())
    return shape_difference(views.result, views.source) if finite else math.nan


SHAPE = PairMetric(
    name="shape",
    summary="distance between the directions of edges of result and source (Canny, Gabor filters)",
    needs=("source",),
    range=(0.0, math.sqrt(2)),
    rows=ROWS,
    measure=_measure,
)
