"""What a method that inverts is shown: the picture after the configured degradation."""

from __future__ import annotations

import time

import numpy as np

from mgi import degradations
from mgi.config import Inversion
from mgi.images import to_float, to_uint8
from mgi.translators.base import Warped


def observe(image: np.ndarray, seed: int, settings: Inversion, size: int, device: str) -> Warped:
    """A picture uint8 [S, S, 3] as it is seen, at its own size: every pixel of a smaller observation becomes a square.

    Args:
        seed: draws masks, rain and noise.
        size: S.
    """
    start, whole = time.perf_counter(), to_float(image, device)
    operator = degradations.build(settings.degradation, size, [seed], device, settings.downscale)
    # A picture that is given degraded passes unchanged: grey stays grey, holes stay holes, squares stay squares.
    if settings.observed == "given":
        observed = operator.shrink(whole) if operator.factor > 1 else operator(whole)
    else:
        observed = operator.simulate(whole)
    ratio = whole.shape[-1] // observed.shape[-1]
    shown = observed.repeat_interleave(ratio, 2).repeat_interleave(ratio, 3)
    return Warped(to_uint8(shown)[0], {"seconds": time.perf_counter() - start})
