"""Degradations as operators: D(y) = keep * grey?(y) + add, and smaller by a factor.

Noise and JPEG come on top where pictures are degraded (`simulate`); no operator that results go through has them.

One operator covers the tasks of both papers' inversions: `down` (super-resolution), `gray` (colorization), a mask
(inpainting), rain (deraining) and none (reconstruction). They all commute with means of cells, except in cells that a
mask's border crosses, so the cheap steps at low resolution can use them too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mgi.config import ConfigError, parse_degradation
from mgi.degradations.masks import free_form, mask_file, strokes
from mgi.degradations.rain import DROP_COLOUR, rain, rain_layers
from mgi.degradations.spoils import compressed, noise
from mgi.downscaling import Downscale, downscale
from mgi.images import down, luminance


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
        spoils: (noise, standard deviation in 8-bit levels) and (jpeg, quality), for `simulate`.
        seeds: of the pictures' noise.
    """

    size: int
    factor: int = 1
    kind: Downscale = "mean"
    gray: bool = False
    keep: Tensor | None = None
    add: Tensor | None = None
    spoils: tuple[tuple[str, float], ...] = ()
    seeds: tuple[int, ...] = ()

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

    def simulate(self, images: Tensor) -> Tensor:
        """Pictures [P, 3, S, S] as a camera or a file would have them: the operator, then noise and JPEG."""
        seen = self(images)
        for what, amount in self.spoils:
            if what == "jpeg":
                seen = compressed(seen, round(amount))
            else:
                seen = (
                    seen + torch.stack([noise(seen.shape[1:], seed) for seed in self.seeds]).to(seen) * amount / 127.5
                )
        return seen.clamp(-1, 1) if self.spoils else seen

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
    """The operator of a specification for pictures of size x size; `seeds` draw each one's mask, rain and noise.

    Args:
        spec: kinds joined by `+`, as `parse_degradation` takes them.
        kind: how images are scaled down.
        images: rows of the images that it will get, if they have more than the pictures, so that `kind` scales them
            down in one go. Masks and rain belong to the picture's own pixels, so images are scaled down before them.

    Raises:
        ConfigError: a size that the factor does not divide, or a mask file that cannot be read.
    """
    steps = parse_degradation(spec)
    kinds = [what for what, _ in steps]
    factor = int(dict(steps).get("down", "1"))
    if factor > 1 and (size % factor or size // factor < 8):
        raise ConfigError(f"inversion.degradation: {size} rows cannot be reduced by {factor}; use a smaller factor")
    keep, add = _obstructions(steps, size, seeds)
    larger = 1 if keep is not None else max(1, (images or size) // size)
    return Degradation(
        size * larger,
        factor * larger,
        kind,
        gray="gray" in kinds,
        keep=None if keep is None else keep.to(device),
        add=None if add is None else add.to(device),
        spoils=tuple((what, float(argument)) for what, argument in steps if what in ("noise", "jpeg")),
        seeds=tuple(seeds),
    )


def _obstructions(
    steps: Sequence[tuple[str, str]], size: int, seeds: Sequence[int]
) -> tuple[Tensor | None, Tensor | None]:
    """Masks and rain one over the other, as keep * y + add; None if there are none."""
    keep: Tensor | None = None
    add: Tensor | None = None
    for what, argument in steps:
        if what not in OPACITIES:
            continue
        opacity, colour = OPACITIES[what]
        hidden = torch.stack(
            [mask_file(argument, size)] * len(seeds) if argument else [opacity(size, s) for s in seeds]
        )
        keep = 1 - hidden if keep is None else keep * (1 - hidden)
        add = colour * hidden if add is None else add * (1 - hidden) + colour * hidden
    return keep, add


OPACITIES: dict[str, tuple[Callable[[int, int], Tensor], float]] = {
    "mask": (free_form, 0.0),
    "strokes": (strokes, 0.0),
    "rain": (rain, 1.0),
    "rain-layers": (rain_layers, DROP_COLOUR),
}
"""Kind -> (opacity of a size and a seed, and its colour in [-1, 1])."""


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
