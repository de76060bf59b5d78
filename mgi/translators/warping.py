"""The warp of a pair of pictures with the networks that a configuration names, as all translators that warp make it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from mgi.config import RunConfig
from mgi.correspondence.warping import warp_pair
from mgi.features import Backbone
from mgi.features.descriptor import Descriptor
from mgi.images import to_float, to_uint8
from mgi.translators.base import Progress, Warped
from mgi.translators.learning import READS


def warp_pictures(
    config: RunConfig,
    networks: Callable[[str], Backbone],
    descriptor: Descriptor | None,
    device: str,
    source: np.ndarray,
    exemplar: np.ndarray,
    seed: int,
    progress: Progress | None,
) -> Warped:
    """MGI equations 1-6, fine-tuned on the pair first if `warp.method` says so (OEFT).

    Args:
        networks: the feature network of a name, loaded once.
        descriptor: the one that the configuration asks for.
        source, exemplar: uint8 [S, S, 3].
        seed: the pair's, of everything random in the fine-tuning.
    """
    start, style = time.perf_counter(), config.oeft.style_backbone
    own = config.warp.method == "oeft" and style != "warp"
    found = warp_pair(
        to_float(source, device),
        to_float(exemplar, device),
        networks(READS if config.warp.descriptor == "generator" else config.warp.backbone),
        config,
        seed,
        progress,
        networks(style) if own else None,
        descriptor,
    )
    info: dict[str, float | str] = {**found.info, "seconds": time.perf_counter() - start}
    return Warped(to_uint8(found.warp)[0], info, found.arrays)
