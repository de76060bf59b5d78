"""Training images: a memory-mapped array of decoded pictures behind PyTorch's DataLoader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mgi.images import to_float

HOLD_OUT_EVERY = 10
"""Every tenth image, in the order of names, is never trained on: the score is the distance from these."""
HOLD_OUT_AT_MOST = 2048


class Pictures(Dataset[Tensor]):
    """Rows of an array uint8 [N, R, R, 3] as float32 [3, R, R] in [-1, 1]; only rows asked for are read from disk."""

    def __init__(self, pixels: np.ndarray, rows: Sequence[int]) -> None:
        self.pixels, self.rows = pixels, np.asarray(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """A whole batch [B, 3, R, R]: PyTorch's loader prefers this to one call per image."""
        return to_float(self.pixels[self.rows[indices]])


def split(count: int) -> tuple[list[int], list[int]]:
    """(rows to train on, rows held out) of `count` images.

    Example:
        >>> [len(part) for part in split(100)]
        [90, 10]
    """
    held_out = list(range(0, count, HOLD_OUT_EVERY))[:HOLD_OUT_AT_MOST]
    kept = set(held_out)
    return [row for row in range(count) if row not in kept], held_out


def loader(pictures: Pictures, batches: Iterable[list[int]], workers: int = 0) -> Iterator[Tensor]:
    """Batches [B, 3, R, R] of the given indices, in order, without end if `batches` has no end.

    Args:
        workers: processes that read ahead. 0 on a CPU: pictures are already decoded, and training needs the cores.
    """
    return iter(DataLoader(pictures, batch_sampler=batches, num_workers=workers, collate_fn=_as_it_is))


def _as_it_is(batch: Any) -> Any:
    # The batch is a tensor already: `Pictures` reads a whole one at a time.
    return batch
