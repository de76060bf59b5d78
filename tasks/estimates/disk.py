"""How much a run will write, at most: arrays and pictures as they are before they are compressed."""

from __future__ import annotations

from math import prod

import numpy as np

from mgi.config import RunConfig
from mgi.translators import Searches, Translator

SHOWN = 3
"""Pictures of a pair that are kept as they were seen: source, exemplar and warp."""


def bytes_per_pair(config: RunConfig, translator: Translator) -> int:
    """Bytes of a pair's arrays and of its result, uncompressed; on the disk they take a half to nine tenths of it."""
    size = translator.picture_size
    result = size * config.upsampling
    arrays = 0
    if isinstance(translator, Searches):
        shapes = (found for h in config.hypotheses() for found in translator.lane_arrays(h).values())
        arrays = sum(prod(shape) * np.dtype(kind).itemsize for shape, kind in shapes)
    return 3 * (SHOWN * size**2 + result**2) + arrays
