"""How much detail pictures have, band by band, and how much those of a domain have.

Band k is what is lost when the picture, reduced k - 1 times by the mean of 2 x 2 pixels, is reduced once more. Its
strength is the standard deviation of that difference. So band 1 of a picture of 512 rows is band 2 of one of 1024, and
one list by rows serves results of any size.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mgi.images import band, halvings, resize
from mgi.metrics.statistics_files import StatisticsError, cached, whole_file

BANDS = 4
SMALLEST = 8
"""Rows of the last band that is kept of a domain."""
SAMPLES = 64
"""Samples of a generator that are measured, at full size."""
FORMAT = 1


@dataclass(frozen=True)
class DetailStatistics:
    """Strength of the bands of a domain.

    Args:
        deviations: {rows: mean strength over the domain's pictures of the band that is lost below these rows}.
        made_from: what was measured.
    """

    deviations: dict[int, float]
    made_from: str

    def ratios(self, image: Tensor) -> list[float]:
        """Strength of the bands of one image [1, 3, S, S] over the domain's, the finest first; NaN where it has none.

        An image whose rows the domain does not have is resized to the next smaller size that it has.
        """
        rows = max((size for size in self.deviations if size <= image.shape[-1]), default=0)
        if not rows:
            return [math.nan] * BANDS
        found = band_deviations(image if image.shape[-1] == rows else resize(image, rows))
        bands = [rows >> band for band in range(BANDS)]
        return [
            found[size] / self.deviations[size] if size in found and self.deviations.get(size) else math.nan
            for size in bands
        ]

    def save(self, path: Path) -> None:
        """Write a .json under its final name only when it is whole."""
        said = {"format": FORMAT, "made_from": self.made_from, "deviations": self.deviations}
        with whole_file(path) as file:
            file.write(json.dumps(said, indent=1).encode())


def read_detail(path: Path) -> DetailStatistics:
    """Read what `DetailStatistics.save` wrote. Raises StatisticsError: it is missing, damaged or of another kind."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            raise StatisticsError(f"{path} has format {said['format']}, expected {FORMAT}; delete it to make it again")
        deviations = {int(rows): float(value) for rows, value in said["deviations"].items()}
        if not all(math.isfinite(value) and value >= 0 for value in deviations.values()):
            raise ValueError("a strength that is negative or not a number")
        return DetailStatistics(deviations, str(said["made_from"]))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, StatisticsError):
            raise
        raise StatisticsError(f"{path} holds no detail statistics ({error}); delete it to make it again") from None


def cached_detail(path: Path, build: Callable[[], DetailStatistics]) -> DetailStatistics:
    """The statistics in `path`. If they are not there or damaged, `build` makes them and they are saved."""
    return cached(path, read_detail, build)


@torch.no_grad()
def band_deviations(image: Tensor) -> dict[int, float]:
    """{rows: strength} of every band of one image [1, 3, S, S]; odd sizes end the list."""
    large = itertools.takewhile(lambda both: both[0].shape[-1] >= SMALLEST, halvings(image))
    return {larger.shape[-1]: float(band(larger, smaller).std()) for larger, smaller in large}


def build_detail(images: Iterable[Tensor], made_from: str) -> DetailStatistics:
    """Statistics of a domain from its images [1, 3, S, S], in one pass; sizes may differ.

    Raises:
        StatisticsError: no image with an even number of rows.
    """
    bands: dict[int, list[float]] = {}
    for image in images:
        for rows, value in band_deviations(image).items():
            bands.setdefault(rows, []).append(value)
    if not bands:
        raise StatisticsError("detail statistics need pictures of an even number of rows, found none; give larger ones")
    return DetailStatistics({rows: math.fsum(all_) / len(all_) for rows, all_ in bands.items()}, made_from)
