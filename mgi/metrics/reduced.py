"""Metrics of whole sets that look at each image once: a set becomes arrays, which can be kept and compared again.

Inception over 70,000 images takes hours, comparing two sets of vectors seconds. So a metric of sets names its
`Reduction`, several metrics may share one, and what it gives of a set can be cached by the images' content.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from mgi.metrics.base import Networks, SetMetric, SetViews
from mgi.metrics.gaussian import BLOCK, Gaussian, gaussian_of

Arrays: TypeAlias = dict[str, np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A number of a set, the ends of its 95 % interval (NaN: not known), and what a reader of the table must know."""

    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class Reduction:
    """From the images of a set to arrays.

    Args:
        name: of the cached files, such as `inception-pool3`.
        run: images [1, 3, H, W] in [-1, 1], one after the other, and the networks -> the arrays.
        weights: the zoo's networks that it uses.
        resize: how images come to the network's size, in words, for tables.
        version: goes up when its numbers change.
    """

    name: str
    run: Callable[[Iterable[Tensor], Networks], Arrays]
    weights: tuple[str, ...] = ()
    resize: str = ""
    version: int = 1


@dataclass(frozen=True)
class ReducedMetric(SetMetric):
    """A `SetMetric` of reduced sets.

    Args:
        reduction: what both sets become.
        compare: the results' arrays and the reference's (None if the metric needs none) -> the number.
    """

    reduction: Reduction | None = None
    compare: Callable[[Arrays, Arrays | None], Estimate] | None = None

    def __call__(self, views: SetViews, networks: Networks) -> float:
        """The number of the set, reduced here and now.

        Raises:
            ValueError: something that the metric needs is missing; one line.
        """
        self.require(views, "set")
        assert self.reduction is not None
        reference = self.reduction.run(views.reference, networks) if views.reference is not None else None
        return self.estimate(self.reduction.run(views.results, networks), reference).value

    def estimate(self, results: Arrays, reference: Arrays | None) -> Estimate:
        """The number of two reduced sets, with its interval."""
        assert self.compare is not None
        return self.compare(results, reference)


@torch.no_grad()
def vectors(images: Iterable[Tensor], read: Callable[[Tensor], Tensor], batch: int = 16) -> Arrays:
    """One vector per image: {"vectors": float32 [N, D]}; of more than D also their "mean" and "covariance".

    Args:
        images: [1, 3, H, W] each; neighbours of one size are read together.
        read: [B, 3, H, W] -> [B, D].
        batch: B, at most.

    Raises:
        ValueError: there are no images.
    """
    blocks: list[np.ndarray] = []
    found: list[np.ndarray] = []
    held: list[Tensor] = []

    def flush(last: bool = False) -> None:
        if held:
            found.append(read(torch.cat(held)).float().cpu().numpy())
            held.clear()
        if found and (last or sum(map(len, found)) >= BLOCK):
            blocks.append(np.concatenate(found))
            found.clear()

    for image in images:
        if held and (held[0].shape != image.shape or len(held) == batch):
            flush()
        held.append(image)
    flush(last=True)
    if not blocks:
        raise ValueError("expected images to measure, found none; check the folder")
    whole = _joined(blocks)
    if len(whole) <= whole.shape[1]:
        return {"vectors": whole}
    gaussian = gaussian_of(whole)
    return {"vectors": whole, "mean": gaussian.mean, "covariance": gaussian.covariance}


def known_gaussian(arrays: Arrays) -> Gaussian | None:
    """The statistics of a reduced set's vectors, if they are kept with them."""
    if "covariance" not in arrays:
        return None
    return Gaussian(arrays["mean"], arrays["covariance"], len(arrays["vectors"]))


def _joined(blocks: list[np.ndarray]) -> np.ndarray:
    """All rows of some blocks, each of which is freed when it was read: 70,000 vectors lie in memory once."""
    whole, start = np.empty((sum(map(len, blocks)), blocks[0].shape[1]), np.float32), 0
    while blocks:
        block = blocks.pop(0)
        whole[start : start + len(block)] = block
        start += len(block)
    return whole
