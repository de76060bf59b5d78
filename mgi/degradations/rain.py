"""Rain as an opacity [1, S, S] from a seed: streaks of our own, and the layers of imgaug."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

STREAKS, STREAK_OPACITY = 160, 0.6
LAYERS = (1, 3)
DENSITY, UNIFORMITY, DROP, ANGLE, SPEED = (0.03, 0.14), (0.8, 1.0), (0.01, 0.02), (-15.0, 15.0), (0.04, 0.20)
"""imgaug's `Rain`: layers per picture; share of pixels that drop, how evenly, size of drops as a share of the
picture's, direction in degrees, and length of streaks as a share of the picture's rows."""
GATE = 8
"""Rows of the grid by which drops are rarer in some places."""
VISIBLE = 1.3
DROP_COLOUR = 240 / 127.5 - 1
"""imgaug's factor and colour of drops, the latter in [-1, 1]."""


def rain(size: int, seed: int) -> Tensor:
    """Slanted streaks [1, size, size], opacity 0 to 0.6, drawn at twice the size to be smooth."""
    random = np.random.default_rng(seed)
    big = Image.new("L", (2 * size, 2 * size))
    draw = ImageDraw.Draw(big)
    slant = random.uniform(-0.3, 0.3)
    for _ in range(STREAKS):
        x, y = random.uniform(-0.3, 1.3) * 2 * size, random.uniform(-0.2, 1.0) * 2 * size
        length = random.uniform(0.04, 0.14) * 2 * size
        shade = int(255 * random.uniform(0.4, 1.0))
        draw.line((x, y, x + slant * length, y + length), fill=shade, width=max(1, size // 128))
    streaks = np.asarray(big.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255
    return STREAK_OPACITY * torch.from_numpy(streaks)[None]


def rain_layers(size: int, seed: int) -> Tensor:
    """The rain of UDA-inversion: one to three layers as imgaug's `Rain` makes them -> opacity [1, S, S].

    A layer is salt noise on a slightly smaller grid, thinned out by a coarse grid of Beta(1, 1 - uniformity) numbers,
    enlarged, and blurred along the direction of the fall, strongest at one end.
    """
    random = np.random.default_rng(seed)
    clear = torch.ones(1, size, size)
    for _ in range(int(random.integers(LAYERS[0], LAYERS[1] + 1))):
        clear = clear * (1 - _layer(size, random))
    return 1 - clear


def _layer(size: int, random: np.random.Generator) -> Tensor:
    density, uniformity, drop, angle, speed = (random.uniform(*r) for r in (DENSITY, UNIFORMITY, DROP, ANGLE, SPEED))
    small = max(1, int(size * (1 - drop)))
    salt = _salt(small, density, random)
    even = random.beta(1.0, max(1 - uniformity, 1e-3), (1, 1, GATE, GATE)).astype(np.float32)
    gate = F.interpolate(torch.from_numpy(even), size=(small, small), mode="bicubic", align_corners=False)
    drops = F.interpolate(salt * gate.clamp(0, 1), size=(size, size), mode="bicubic", align_corners=False)
    drops = drops.clamp(0, 1)  # 8-bit pictures there: what a cubic filter undershoots is cut off before it is blurred
    length = int(speed * size)
    if length > 1:
        length = max(3, length + 1 - length % 2)
        drops = F.conv2d(F.pad(drops, [length // 2] * 4, mode="reflect"), _streak(length, angle))
    return (VISIBLE * drops[0]).clamp(0, 1)


def _salt(rows: int, density: float, random: np.random.Generator) -> Tensor:
    """imgaug's `Salt`: a share of [1, 1, rows, rows] is the brighter half of Beta(1/2, 1/2), most of it near 1."""
    where = random.random((1, 1, rows, rows)) < density
    bright = 0.5 + np.abs(random.beta(0.5, 0.5, where.shape) - 0.5)
    return torch.from_numpy((where * bright).astype(np.float32))


def _streak(length: int, angle: float) -> Tensor:
    """A line through the middle of [1, 1, n, n], from 1 to 0 along its length, turned; its sum is 1."""
    line = np.zeros((length, length), np.float32)
    line[:, length // 2] = np.linspace(1, 0, length)
    turned = np.asarray(Image.fromarray(line).rotate(angle, Image.Resampling.BILINEAR))
    return torch.from_numpy(turned / turned.sum())[None, None]
