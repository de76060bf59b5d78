"""Stage `warp`: read a pair's images and warp the exemplar to the source, or observe a picture (one unit per pair)."""

from __future__ import annotations

import numpy as np

from mgi.pairs import lane_seed, observation_seed
from tasks.stages.base import Stage
from tasks.stages.from_files import Made, first_shows, from_files
from tasks.unit import WARP, Job, OpenRun, Outcome, searches
from tasks.workers.heartbeat import Heartbeat

ARRAYS = ("source", "exemplar", "warp")
"""Arrays `warp/<name>` [P,S,S,3] uint8 of the store: both inputs as aligned and resized, and the warp. Where pictures
are inverted as they are: the picture, the picture again, and what is observed of it. Fine-tuned pairs also keep
`warp/oeft_loss` [P,iterations,4] float32, and pairs matched in both directions `warp/confidence` [P,G,G] uint8, which
is 255 where a match leads there and back."""


def warp_pair(job: Job, pair_id: str, preview: bool = False) -> list[Outcome]:
    """Warp one pair and publish source, exemplar and warp.

    Args:
        job: the run.
        pair_id: the pair.
        preview: also write the run's preview picture from this pair.

    Returns:
        One outcome; failed when an image cannot be used or the method refuses the pair.
    """
    return from_files(job, WARP, pair_id, preview, _warp)


def confidence_of(run: OpenRun, pair_id: str) -> np.ndarray | None:
    """How far a pair's warp can be trusted, uint8 [G,G]; None where that is not known.

    Raises:
        storage.run_store.StoreCorrupt: it was damaged since.
    """
    if run.config.task == "invert" or not run.config.warp.judged:
        return None
    return run.store.value(WARP, pair_id, "warp/confidence")


def _warp(run: OpenRun, pair_id: str, pictures: list[np.ndarray]) -> Made:
    method = run.method()
    if run.config.task == "invert":
        found = method.observe(pictures[0], observation_seed(run.seed, pair_id))
    else:
        source, exemplar = pictures
        beat, seed = Heartbeat(WARP, [pair_id]), lane_seed(run.seed, pair_id, "oeft")
        found = method.warp(source, exemplar, progress=beat, seed=seed)
    return Made({"warp": found.warp, **found.arrays}, [found.warp], found.info)


STAGE = Stage(name=WARP, unit="pairs", compute=warp_pair, calls=first_shows, used_by=searches)
