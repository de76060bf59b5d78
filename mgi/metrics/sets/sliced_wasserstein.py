"""Sliced Wasserstein distance of patches (Karras et al. 2018, section 5): does every scale look like the reference's?

Patches of 7 x 7 pixels are cut at random from every level of a Laplacian pyramid, each channel is standardised over the
set, and the patches of both sets are compared along random directions: sorted, their mean absolute difference. The
number is the mean over levels, times 1,000.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.metrics.base import Networks, fit
from mgi.metrics.reduced import Arrays, Estimate, ReducedMetric, Reduction

ROWS, COARSEST, PATCH = 256, 16, 7
PER_IMAGE = 128
DIRECTIONS, REPEATS = 128, 4
MOST = 1 << 16
"""Patches of a level that are compared; of more images each keeps fewer, at random."""
SCALE = 1000.0


def pyramid(image: Tensor) -> list[Tensor]:
    """[1, 3, 256, 256] -> what each level adds to the next coarser one, down to 16 rows, which comes as it is."""
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(row, row).to(image).expand(3, 1, 5, 5)
    levels = []
    while image.shape[-1] > COARSEST:
        small = F.conv2d(F.pad(image, (2, 2, 2, 2), "reflect"), kernel, groups=3)[..., ::2, ::2]
        wide = torch.zeros_like(image)
        wide[..., ::2, ::2] = small * 4
        levels.append(image - F.conv2d(F.pad(wide, (2, 2, 2, 2), "reflect"), kernel, groups=3))
        image = small
    return [*levels, image]


class Patches:
    """Patches of one level: the first ones of each image, fewer the more images there are, at most 2 x MOST meanwhile.

    All patches of 70,000 images would be 13 GB.
    """

    def __init__(self) -> None:
        self.found: list[np.ndarray] = []

    def add(self, patches: np.ndarray) -> None:
        """Patches [128, 147] of the next image."""
        count = len(self.found) + 1
        self.found.append(patches[: _each(count)].copy())
        if not count & count - 1:
            self._thin()

    def result(self) -> np.ndarray:
        """All that are kept, [P, 147], equally many of each image."""
        self._thin()
        return np.concatenate(self.found)

    def _thin(self) -> None:
        each = _each(len(self.found))
        self.found = [patches if len(patches) == each else patches[:each].copy() for patches in self.found]


def _run(images: Iterable[Tensor], networks: Networks) -> Arrays:
    random, kept = torch.Generator().manual_seed(0), dict[str, Patches]()
    for image in images:
        for level in pyramid(fit(image, ROWS)):
            rows = level.shape[-1] - PATCH + 1
            places = torch.randint(rows * rows, (PER_IMAGE,), generator=random).to(level.device)
            cut = F.unfold(level, PATCH)[0][:, places]
            kept.setdefault(f"level{level.shape[-1]}", Patches()).add(cut.T.half().cpu().numpy())
    return {name: patches.result() for name, patches in kept.items()}


def _each(images: int) -> int:
    """How many patches of a level each of so many images keeps."""
    return max(1, min(PER_IMAGE, MOST // images))


def sliced_wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """Patches [P, 3 x 7 x 7] of one level -> their distance; of more patches as many as of fewer, evenly."""
    count = min(len(x), len(y))
    sides = [_standardised(side[np.arange(count) * len(side) // count]) for side in (x, y)]
    random, found = np.random.default_rng(0), []
    for _ in range(REPEATS):
        directions = random.standard_normal((x.shape[1], DIRECTIONS)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=0)
        a, b = (np.sort(side @ directions, axis=0) for side in sides)
        found.append(np.abs(a - b).mean())
    return float(np.mean(found))


def _standardised(patches: np.ndarray) -> np.ndarray:
    channels = patches.astype(np.float32).reshape(len(patches), 3, -1)
    deviation = channels.std((0, 2), keepdims=True)
    return ((channels - channels.mean((0, 2), keepdims=True)) / np.maximum(deviation, 1e-8)).reshape(len(patches), -1)


def _compare(results: Arrays, reference: Arrays | None) -> Estimate:
    assert reference is not None
    found = [sliced_wasserstein(results[name], reference[name]) for name in results]
    return Estimate(SCALE * float(np.mean(found)))


PATCHES = Reduction("laplacian-patches", _run, (), f"cells or bilinear to {ROWS}")

SLICED_WASSERSTEIN = ReducedMetric(
    name="swd",
    summary="sliced Wasserstein distance of patches from a reference set, mean over five scales",
    needs=("reference",),
    unit="x 0.001",
    reference="docs/evaluation.md",
    reduction=PATCHES,
    compare=_compare,
)
