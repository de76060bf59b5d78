"""Degradations as operators: D(y) = keep * grey?(y) + add, and smaller by a factor.

One operator covers the tasks of both papers' inversions: `down` (super-resolution), `gray` (colorization), a mask
(inpainting), rain (deraining) and none (reconstruction). They all commute with means of cells, except in cells that a
mask's border crosses, so the cheap steps at low resolution can use them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, UnidentifiedImageError
from torch import Tensor

from mgi.config import ConfigError, parse_degradation
from mgi.downscaling import Downscale, downscale
from mgi.images import down

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's mode L
HOLE_SHARE = (0.2, 0.4)
"""Free-form masks cover between these shares of the picture."""
STREAKS, STREAK_OPACITY = 160, 0.6


@dataclass(frozen=True)
class Degradation:
    """The operator for P pictures of S x S pixels.

    Args:
        size: S.
        factor: the observation has S / factor rows.
        kind: how images are scaled down to it.
        gray: all channels become the luminance.
        keep: [P, 1, S, S], how much of each pixel remains; None: all.
        add: [P, 1, S, S], what is added to each channel; None: nothing.
    """

    size: int
    factor: int = 1
    kind: Downscale = "mean"
    gray: bool = False
    keep: Tensor | None = None
    add: Tensor | None = None

    def __call__(self, images: Tensor, rows: Sequence[int] | None = None) -> Tensor:
        """Images [B, 3, s, s] with s dividing S -> observations [B, 3, s', s'], s' = min(s, S / factor).

        Args:
            rows: for each image, the picture it belongs to; None: image i belongs to picture i.
        """
        if self.gray:
            images = luminance(images).expand(-1, 3, -1, -1)
        if self.keep is not None and self.add is not None:
            chosen = slice(None) if rows is None else list(rows)
            ratio = self.keep.shape[-1] // images.shape[-1]
            images = images * down(self.keep[chosen], ratio) + down(self.add[chosen], ratio)
        return downscale(images, self._ratio(images.shape[-1]), self.kind)

    def shrink(self, observed: Tensor) -> Tensor:
        """The observation, min(s, S / factor) rows, of pictures [B, 3, s, s] that show each pixel of it as a square."""
        return down(observed, self._ratio(observed.shape[-1]))

    def observed_rows(self, rows: int) -> int:
        """Rows of the observation of an image of so many rows."""
        return rows // self._ratio(rows)

    def _ratio(self, rows: int) -> int:
        return max(1, rows * self.factor // self.size)


def build(
    spec: str,
    size: int,
    seeds: Sequence[int],
    device: str | torch.device = "cpu",
    kind: Downscale = "mean",
    images: int | None = None,
) -> Degradation:
    """The operator of a specification for pictures of size x size; `seeds` draw each picture's own mask or rain.

    Args:
        kind: how images are scaled down.
        images: rows of the images that it will get, if they have more than the pictures, so that `kind` scales them
            down in one go. Masks and rain belong to the picture's own pixels, so images are scaled down before them.

    Raises:
        ConfigError: a size that the factor does not divide, or a mask file that cannot be read.
    """
    what, argument = parse_degradation(spec)
    larger = max(1, (images or size) // size)
    if what == "down":
        factor = int(argument)
        if size % factor or size // factor < 8:
            raise ConfigError(f"inversion.degradation: {size} rows cannot be reduced by {factor}; use a smaller factor")
        return Degradation(size * larger, factor * larger, kind)
    if what == "gray":
        return Degradation(size * larger, larger, kind, gray=True)
    if what == "rain":
        streaks = torch.stack([rain(size, seed) for seed in seeds]).to(device)
        return Degradation(size, keep=1 - streaks, add=streaks)  # a white streak over what is there
    if what == "mask":
        holes = [_mask_file(argument, size)] * len(seeds) if argument else [free_form(size, seed) for seed in seeds]
        missing = torch.stack(holes).to(device)
        return Degradation(size, keep=1 - missing, add=torch.zeros_like(missing))
    return Degradation(size * larger, larger, kind)


def luminance(images: Tensor) -> Tensor:
    """Y of RGB images [B, 3, H, W] -> [B, 1, H, W], in their range."""
    return (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def with_luminance(images: Tensor, seen: Tensor) -> Tensor:
    """Images [B, 3, R, R] with the luminance of what was observed [B, 3, S, S], both in [-1, 1].

    mGANprior's colorization: Y of the grey picture, Cb and Cr of the result.
    If R > S, only the means over cells come from the observation, so the result keeps its detail.
    """
    of_image, of_seen = luminance(images), luminance(seen)
    if images.shape[-1] < seen.shape[-1]:
        of_seen = down(of_seen, seen.shape[-1] // images.shape[-1])
    ratio = images.shape[-1] // of_seen.shape[-1]
    offset = of_seen - down(of_image, ratio)
    # The same offset on red, green and blue changes Y by it, and leaves Cb and Cr as they are.
    return images + offset.repeat_interleave(ratio, 2).repeat_interleave(ratio, 3)


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


def _mask_file(path: str, size: int) -> Tensor:
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
