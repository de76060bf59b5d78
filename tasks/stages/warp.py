"""Stage `warp`: read a pair's images and warp the exemplar to the source, or observe a picture (one unit per pair)."""

from __future__ import annotations

import time

from mgi.pairs import lane_seed, observation_seed
from tasks.inputs import identities, refuse
from tasks.preview import preview_path, write_preview
from tasks.stages.base import Call, Shard, Stage
from tasks.unit import WARP, Job, Outcome, done_already, one_line, plain, reason_of
from tasks.workers.heartbeat import Heartbeat

ARRAYS = ("source", "exemplar", "warp")
"""Arrays `warp/<name>` [P,S,S,3] uint8 of the store: both inputs as aligned and resized, and the warp. Where pictures
are inverted as they are: the picture, the picture again, and what is observed of it. Fine-tuned pairs also keep
`warp/oeft_loss` [P,iterations,4] float32."""


def warp_pair(job: Job, pair_id: str, preview: bool = False) -> list[Outcome]:
    """Warp one pair and publish source, exemplar and warp.

    Args:
        job: the run.
        pair_id: the pair.
        preview: also write the run's preview picture from this pair.

    Returns:
        One outcome; failed when an image cannot be used or the method refuses the pair.
    """
    from storage.images import BadImage, read_image  # imports Pillow, which only those who compute should wait for

    run, start = job.open(), time.perf_counter()
    if done := done_already(run, WARP, [pair_id]):
        return done
    inverting, paths = run.config.task == "invert", run.files(pair_id)
    seen = identities(paths)

    def refused(reason: str) -> list[Outcome]:
        refuse(run, pair_id, seen)
        return [Outcome(WARP, pair_id, pair_id, time.perf_counter() - start, reason)]

    try:
        images = [read_image(path) for path in paths]
    except BadImage as error:
        return refused(one_line(error))
    method = run.method()  # outside of try: that networks cannot be loaded is no fault of the pair
    try:
        beat = Heartbeat(WARP, [pair_id])
        sides = ("picture",) if inverting else ("source", "exemplar")
        aligned = [run.align(image.pixels, side) for image, side in zip(images, sides, strict=True)]
        pictures = [picture for picture, _ in aligned]
        if inverting:
            output = method.observe(pictures[0], observation_seed(run.seed, pair_id))
        else:
            source, exemplar = pictures
            output = method.warp(source, exemplar, progress=beat, seed=lane_seed(run.seed, pair_id, "oeft"))
    except Exception as error:
        return refused(reason_of(error))
    index = run.index(pair_id)
    arrays = {"warp/source": pictures[0], "warp/exemplar": pictures[-1], "warp/warp": output.warp}
    arrays |= {f"warp/{name}": value for name, value in output.arrays.items()}
    for name, value in arrays.items():
        run.store.write(name, index, value)
    seconds = time.perf_counter() - start
    info = output.info | {f"aligned_{name}": how for name, (_, how) in zip(ARRAYS, aligned, strict=False)}
    notes = [note for image in images for note in image.notes]
    run.store.publish(
        WARP,
        pair_id,
        pair_index=index,
        arrays=list(arrays),
        payload={"info": plain(info), "notes": notes, "seconds": seconds, "inputs": seen},
    )
    if preview:
        write_preview(run.store, [pictures[0], pictures[-1], output.warp])
    return [Outcome(WARP, pair_id, pair_id, seconds)]


def _calls(shard: Shard) -> list[Call]:
    """One per pair; the first also shows its pair, where the run shows nothing yet."""
    blank = not preview_path(shard.run.store).exists()
    return [(pair_id, blank and number == 0) for number, pair_id in enumerate(shard.left)]


STAGE = Stage(name=WARP, unit="pairs", compute=warp_pair, calls=_calls)
