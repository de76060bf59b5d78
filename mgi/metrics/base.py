"""What a metric is: a pure function of images with a name, a unit, a direction and a list of what it needs.

Metrics judge finished images, whichever method made them. Each has one size and one network for all methods, so rows of
a table can be compared; no setting of a method changes how it is measured.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from mgi.features import Backbone
from mgi.images import resize, to_float
from mgi.metrics.domain import DomainStatistics

if TYPE_CHECKING:
    from mgi.metrics.bands import DetailStatistics

Need = Literal["source", "exemplar", "warp", "domain", "detail", "reference"]
"""What a metric looks at besides the result. `warp`: the warped exemplar or, if a picture was inverted on its own,
what was observed of it; `domain`: statistics of a domain; `detail`: how much detail its pictures have; `reference`: a
set of images to compare with."""

Networks = Callable[[str], Backbone]
"""The frozen network of a name, loaded once."""

Task = Literal["translate", "invert"]


@dataclass(frozen=True)
class Views:
    """One pair: images float [1, 3, H, W] in [-1, 1], square, each with its own size; None: there is none."""

    result: Tensor
    source: Tensor | None = None
    exemplar: Tensor | None = None
    warp: Tensor | None = None
    domain: DomainStatistics | None = None
    detail: DetailStatistics | None = None

    @classmethod
    def of(
        cls,
        result: np.ndarray,
        source: np.ndarray | None = None,
        exemplar: np.ndarray | None = None,
        warp: np.ndarray | None = None,
        device: str | torch.device = "cpu",
        detail: DetailStatistics | None = None,
    ) -> Views:
        """Of pictures uint8 [H, W, 3], as translators take and give them; on the device of the networks."""
        pictures = (source, exemplar, warp)
        x, y, warped = (None if picture is None else to_float(picture, device) for picture in pictures)
        return cls(to_float(result, device), x, y, warped, detail=detail)

    def fitted(self, rows: int) -> Views:
        """The same with all images at rows x rows; 0: each at its own."""
        if not rows:
            return self
        images = (self.result, self.source, self.exemplar, self.warp)
        result, source, exemplar, warp = (None if image is None else fit(image, rows) for image in images)
        assert result is not None
        return replace(self, result=result, source=source, exemplar=exemplar, warp=warp)

    def has(self, need: Need) -> bool:
        """Whether everything that a metric needs is there."""
        return getattr(self, need, None) is not None


@dataclass(frozen=True)
class SetViews:
    """All results of a method, [1, 3, H, W] each, and what they are compared with."""

    results: Iterable[Tensor]
    reference: Iterable[Tensor] | None = None
    domain: DomainStatistics | None = None

    def has(self, need: Need) -> bool:
        """Whether everything that a metric needs is there."""
        return getattr(self, need, None) is not None


@dataclass(frozen=True)
class Metric:
    """What tables, reports and `mgi metrics` say about a metric.

    Args:
        name: its column, such as `structure`.
        summary: one line: what it measures.
        needs: what it looks at besides the result; if that is missing, the metric does not apply.
        higher_is_better: its direction.
        unit: what its numbers are in; "" if they have no unit.
        range: the smallest and largest number that it can give.
        rows: images are resized to rows x rows before they are measured; 0: each at its own size.
        weights: names of the zoo's networks that it uses.
        reference: the package or paper whose numbers it is tested against.
        tasks: the tasks for which it makes sense.
        standard: whether runs measure it without being asked.
        version: goes up when its numbers change.
    """

    name: str
    summary: str
    needs: tuple[Need, ...] = ()
    higher_is_better: bool = False
    unit: str = ""
    range: tuple[float, float] = (0.0, math.inf)
    rows: int = 256
    weights: tuple[str, ...] = ()
    reference: str = ""
    tasks: tuple[Task, ...] = ("translate", "invert")
    standard: bool = False
    version: int = 1

    @property
    def arrow(self) -> str:
        """The direction in which it becomes better."""
        return "↑" if self.higher_is_better else "↓"

    def digest(self, networks: dict[str, str]) -> str:
        """What its numbers depend on, besides the images: 12 hex digits.

        Args:
            networks: {name: sha256} of the zoo.
        """
        said = [self.name, self.version, self.rows, [networks.get(name, "") for name in self.weights]]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]

    def require(self, views: Views | SetViews, whose: str) -> None:
        """Raise ValueError, one line, if something that the metric needs is missing."""
        missing = [need for need in self.needs if not views.has(need)]
        if missing:
            raise ValueError(f"metric {self.name} needs {' and '.join(missing)}, which this {whose} does not have")


@dataclass(frozen=True)
class PairMetric(Metric):
    """A number for every result.

    Args:
        measure: images at `rows` (`Views.fitted`) and the networks -> the number; NaN if there is none.
    """

    measure: Callable[[Views, Networks], float] = lambda views, networks: math.nan

    def __call__(self, views: Views, networks: Networks) -> float:
        """The number of one pair.

        Raises:
            ValueError: something that the metric needs is missing; one line.
        """
        self.require(views, "pair")
        return float(self.measure(views.fitted(self.rows), networks))


@dataclass(frozen=True)
class SetMetric(Metric):
    """A number for all results of a method together.

    Args:
        measure: the set, images of any size, and the networks -> the number.
    """

    measure: Callable[[SetViews, Networks], float] = lambda views, networks: math.nan

    def __call__(self, views: SetViews, networks: Networks) -> float:
        """The number of the set.

        Raises:
            ValueError: something that the metric needs is missing; one line.
        """
        self.require(views, "set")
        return float(self.measure(views, networks))


def fit(images: Tensor, rows: int) -> Tensor:
    """Square images [B, 3, H, H] at rows x rows: means of cells if they divide, else bilinear with antialiasing."""
    larger = images.shape[-1] > rows and images.shape[-1] % rows == 0
    return resize(images, rows, "area" if larger else "bilinear")
