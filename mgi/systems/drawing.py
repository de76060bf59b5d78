"""Batches of a system's training: which pictures, mirrored and moved how, by the number of the step alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.images import to_float
from mgi.systems.base import Batch, Data, SystemConfig
from mgi.training.encoders.data import batch_rows
from mgi.training.seeds import seed_of

JITTER = 286 / 256
"""Largest magnification before a window is cut."""


@dataclass(frozen=True)
class Side:
    """Pictures or conditions of one side.

    Args:
        pixels: uint8 [N, S, S, 3], class numbers uint8 [N, S, S, 1], or numbers float16 [N, S, S, C].
        rows: which of them there are to draw.
        domains: [N], the domain of each.
    """

    pixels: np.ndarray
    rows: np.ndarray
    domains: np.ndarray


def encoded(pixels: np.ndarray, labels: int) -> Tensor:
    """[B, S, S, C] as networks see it: pictures in [-1, 1], classes as one channel each, numbers as they are.

    Args:
        labels: classes, if it is a map of them.
    """
    if labels:
        classes = torch.from_numpy(np.ascontiguousarray(pixels[..., 0])).long()
        return F.one_hot(classes, labels).permute(0, 3, 1, 2).float()
    if pixels.dtype == np.uint8:
        return to_float(pixels)
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()


class Drawing:
    """Draws the batches of one training.

    Args:
        data: how A and B belong together; see `mgi.systems.base.Data`.
        a, b: what is drawn from; under `pairs` of the same rows, under `folder` and `domains` the same.
        config: batch, mirrors, jitter and seed.
    """

    def __init__(self, data: Data, a: Side, b: Side, config: SystemConfig) -> None:
        self.data, self.a, self.b, self.config = data, a, b, config
        self._of_domain = [b.rows[b.domains[b.rows] == number] for number in range(max(1, len(config.domains)))]

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        if self.data == "domains":
            first, _ = self._of_domains("sources", step)
            second, third = self._of_domains("domains", step)
        else:
            first = self._rows(self.a, "a", step)
            follows = self.data in ("pairs", "folder")
            second, third = (first if follows else self._rows(self.b, "b", step)), self._rows(self.b, "b2", step)
        a = encoded(self.a.pixels[first], self.config.labels)
        b = encoded(self.b.pixels[second], 0)
        b2 = encoded(self.b.pixels[third], 0)
        a2 = encoded(self.a.pixels[third], self.config.labels) if self.data in ("pairs", "folder") else b2
        if self.data in ("pairs", "folder"):
            a, b = self._moved([a, b], step, "first")
            a2, b2 = self._moved([a2, b2], step, "second")
        else:
            (a,), (b,), (b2,) = (self._moved([x], step, n) for x, n in ((a, "first"), (b, "other"), (b2, "second")))
            a2 = b2
        domains = torch.from_numpy(self.a.domains[first]), torch.from_numpy(self.b.domains[second])
        return Batch(a, b, *domains, a2, b2)

    def _rows(self, side: Side, purpose: str, step: int) -> np.ndarray:
        chosen: np.ndarray = side.rows[batch_rows(len(side.rows), self.config.batch, self.config.seed, purpose, step)]
        return chosen

    def _of_domains(self, purpose: str, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Two pictures for each place in the batch, both of one domain; every domain is as likely."""
        random = np.random.default_rng(seed_of(self.config.seed, purpose, step))
        pairs = [
            random.choice(self._of_domain[random.integers(len(self._of_domain))], 2) for _ in range(self.config.batch)
        ]
        return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])

    def _moved(self, tensors: list[Tensor], step: int, purpose: str) -> list[Tensor]:
        """The same mirrors and windows for all."""
        random = torch.Generator().manual_seed(seed_of(self.config.seed, "moved", purpose, step))
        count, size = len(tensors[0]), tensors[0].shape[-1]
        if self.config.flip:
            mirrored = torch.rand(count, 1, 1, 1, generator=random) < 0.5
            tensors = [torch.where(mirrored, x.flip(3), x) for x in tensors]
        if self.config.jitter:
            larger = round(size * JITTER)
            corners = torch.randint(0, larger - size + 1, (count, 2), generator=random).tolist()
            tensors = [
                _windows(x, larger, corners, bool(self.config.labels) and number == 0)
                for number, x in enumerate(tensors)
            ]
        if self.config.windows:
            cut = torch.rand(count, generator=random) < self.config.windows
            boxes = [_box(size, random) if chosen else None for chosen in cut.tolist()]
            tensors = [
                _enlarged(x, boxes, bool(self.config.labels) and number == 0) for number, x in enumerate(tensors)
            ]
        return tensors


def _box(size: int, random: torch.Generator) -> tuple[int, int, int, int]:
    """(top, left, rows, columns) of a window with 80 to 100 % of the area, its sides apart by up to 10 %."""
    area, log_ratio = torch.rand(2, generator=random).tolist()
    ratio = math.exp((2 * log_ratio - 1) * math.log(1.1))
    rows, columns = (min(size, round(size * math.sqrt((0.8 + 0.2 * area) * shape))) for shape in (1 / ratio, ratio))
    top, left = (int(torch.randint(0, size - side + 1, (), generator=random)) for side in (rows, columns))
    return top, left, rows, columns


def _enlarged(x: Tensor, boxes: list[tuple[int, int, int, int] | None], nearest: bool) -> Tensor:
    mode, size = "nearest" if nearest else "bilinear", tuple(x.shape[-2:])
    found = x.clone()
    for row, box in enumerate(boxes):
        if box is not None:
            top, left, rows, columns = box
            window = x[row : row + 1, :, top : top + rows, left : left + columns]
            found[row] = F.interpolate(window, size=size, mode=mode, align_corners=None if nearest else False)[0]
    return found


def _windows(x: Tensor, larger: int, corners: list[list[int]], nearest: bool) -> Tensor:
    size = x.shape[-1]
    if nearest:
        x = F.interpolate(x, size=(larger, larger), mode="nearest")
    else:
        x = F.interpolate(x, size=(larger, larger), mode="bilinear", align_corners=False)
    return torch.stack([x[i, :, top : top + size, left : left + size] for i, (top, left) in enumerate(corners)])
