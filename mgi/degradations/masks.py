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
