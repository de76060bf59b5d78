"""Masks: free-form strokes from a seed, and pictures of the user's. 1 where the picture is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, UnidentifiedImageError
from torch import Tensor

from mgi.config import ConfigError

HOLE_SHARE = (0.2, 0.4)
"""Free-form masks cover between these shares of the picture."""
LINES, TURNS, WIDTHS = (1, 3), (8, 27), (12, 80)
"""GPEN's masks: lines, their turns, and how thick they are in a picture of `GPEN_ROWS` rows."""
GPEN_ROWS = 1024
SLOPE, SPREAD = 2 * np.pi / 5, 2 * np.pi / 15
"""Its lines go up and down by turns, at this angle and at most so far from it."""


def free_form(size: int, seed: int) -> Tensor:
    """A mask of brush strokes [1, size, size], 1 where the picture is missing; a fifth to two fifths of it."""
    random = np.random.default_rng(seed)
    share = random.uniform(*HOLE_SHARE)
    mask = Image.new("L", (size, size))
    draw = ImageDraw.Draw(mask)
    while np.asarray(mask).mean() / 255 < share:
        width = int(size * random.uniform(0.05, 0.12))
        point, angle = random.uniform(0, size, 2), random.uniform(0, 2 * np.pi)
        line = [tuple(point)]
        for _ in range(random.integers(3, 7)):
            angle += random.uniform(-1.2, 1.2)
            stride = size * random.uniform(0.08, 0.2) * np.array([np.cos(angle), np.sin(angle)])
            point = np.clip(point + stride, 0, size)
            line.append(tuple(point))
        draw.line(line, fill=255, width=width, joint="curve")
        for x, y in line:
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return torch.from_numpy(np.asarray(mask, dtype=np.float32) / 255).round()[None]


def strokes(size: int, seed: int) -> Tensor:
    """A mask as GPEN draws them, which UDA-inversion takes: thick zigzags [1, size, size], 1 is missing."""
    random = np.random.default_rng(seed)
    mask = Image.new("L", (size, size))
    draw = ImageDraw.Draw(mask)
    length = np.sqrt(2) * size / 8
    for _ in range(random.integers(*LINES, endpoint=True)):
        turns = int(random.integers(*TURNS, endpoint=True))
        slopes = random.uniform(SLOPE - random.uniform(0, SPREAD), SLOPE + random.uniform(0, SPREAD), turns)
        line = [random.uniform(0, size, 2)]
        for turn, slope in enumerate(slopes):
            way = float(np.clip(random.normal(length, length / 2), 0, 2 * length))
            up = -1 if turn % 2 == 0 else 1
            line.append(np.clip(line[-1] + way * np.array([np.cos(slope), up * np.sin(slope)]), 0, size))
        width = max(1, int(random.uniform(*WIDTHS) * size / GPEN_ROWS))
        draw.line([tuple(point) for point in line], fill=255, width=width)
        for x, y in line:
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return torch.from_numpy(np.asarray(mask, dtype=np.float32) / 255).round()[None]


def mask_file(path: str, size: int) -> Tensor:
    """White means missing; resized to size x size without grey borders."""
    try:
        with Image.open(Path(path)) as picture:
            mask = np.asarray(picture.convert("L").resize((size, size), Image.Resampling.NEAREST), dtype=np.float32)
    except (OSError, UnidentifiedImageError) as error:
        raise ConfigError(f"inversion.degradation: mask {path} cannot be read ({error}); give a picture") from None
    missing = torch.from_numpy(mask >= 128).float()[None]
    if not 0 < float(missing.mean()) < 1:
        raise ConfigError(f"inversion.degradation: mask {path} is all one colour; white pixels are the missing ones")
    return missing
