"""Images of a domain: samples of a generator, or the pictures of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from mgi.config import ConfigError
from mgi.generators import Generator
from mgi.images import fit_square, to_float

DOMAIN_SEED = 0


def generated_images(
    generator: Generator, count: int, size: int, device: str, seed: int = DOMAIN_SEED
) -> Iterator[Tensor]:
    """`count` samples of the generator as [1,3,size,size], one by one: the same in any batch, with little memory."""
    random = torch.Generator().manual_seed(seed)
    for _ in range(count):
        z = torch.randn(1, generator.z_dim, generator=random).to(device)
        with torch.no_grad():
            images = generator(z)
        yield fit_square(images.clamp(-1, 1), size)


def folder_images(files: list[Path], size: int | None, device: str) -> Iterator[Tensor]:
    """Images of a folder as [1,3,size,size]: centre square, resized; None: to the next smaller power of two."""
    for file in files:
        try:
            with Image.open(file) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise ConfigError(f"selection.domain: {file} cannot be read ({error}); remove or replace it") from None
        yield fit_square(to_float(pixels, device), size or 1 << (min(pixels.shape[:2]).bit_length() - 1))
