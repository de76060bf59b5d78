"""What no operator models: noise and compression."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mgi.images import to_float, to_uint8


def noise(shape: Sequence[int], seed: int) -> Tensor:
    """Standard normal numbers of a shape."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def compressed(images: Tensor, quality: int) -> Tensor:
    """Images [B, 3, H, W] in [-1, 1], written as JPEG (4:2:0) of a quality from 1 to 95, and read again."""
    found = []
    for pixels in to_uint8(images):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        with Image.open(file) as picture:
            found.append(np.asarray(picture.convert("RGB")))
    return to_float(np.stack(found), images.device)
