"""What the first stage of any run shares: a pair's files are read, aligned, processed and published together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mgi.memory import WorkingMemory
from tasks.inputs import identities, refuse
from tasks.report.preview import preview_path, write_preview
from tasks.stages.base import Call, Shard
from tasks.unit import Job, OpenRun, Outcome, done_already, one_line, plain, reason_of

SIDES = {"translate": ("source", "exemplar"), "invert": ("picture",)}
"""What the files of a pair are, by task; messages name them so."""


@dataclass(frozen=True)
class Made:
    """The outcome of a pair: arrays by name below `warp/`, further fields of the marker, files, and what to show."""

    arrays: dict[str, np.ndarray]
    shown: list[np.ndarray]
    info: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


Work = Callable[[OpenRun, str, list[np.ndarray]], Made]
"""(run, pair id, aligned pictures uint8 [S, S, 3]) -> the outcome."""


def from_files(job: Job, stage: str, pair_id: str, preview: bool, work: Work) -> list[Outcome]:
    """Read and align a pair's files, do the work, and publish it under the pair's id.

    Returns:
        One outcome; failed when an image cannot be used or the work refuses the pair.

    Raises:
        storage.folders.FolderGone: not one image is missing but its whole folder, which says nothing about the pair.
    """
    from storage.folders import require_folder
    from storage.images import BadImage, read_image  # imports Pillow; only processes that compute should wait for it

    run, start = job.open(), time.perf_counter()
    if done := done_already(run, stage, [pair_id]):
        return done
    paths, sides = run.files(pair_id), SIDES[run.config.task]
    seen = identities(paths)

    def refused(reason: str) -> list[Outcome]:
        refuse(run, pair_id, seen)
        return [Outcome(stage, pair_id, pair_id, time.perf_counter() - start, reason)]

    try:
        images = [read_image(path) for path in paths]
    except BadImage as error:
        for side in ("sources", "exemplars")[: len(paths)]:
            require_folder(run.store.header["inputs"][side], run.store.path)
        return refused(one_line(error))
    run.translator()  # outside of try: networks that cannot be loaded are not the pair's fault
    try:
        faces = [run.face(pair_id), 1]  # only sources have pairs for each of their faces
        aligned = [run.align(i.pixels, side, face) for i, side, face in zip(images, sides, faces, strict=False)]
        pictures = [picture for picture, _ in aligned]
        with WorkingMemory() as memory:
            made = work(run, pair_id, pictures)
    except Exception as error:
        return refused(reason_of(error))
    how = {f"aligned_{name}": way for name, (_, way) in zip(("source", "exemplar"), aligned, strict=False)}
    arrays = {"source": pictures[0], "exemplar": pictures[-1], **made.arrays}
    for name, value in arrays.items():
        run.store.write(f"warp/{name}", run.index(pair_id), value)
    seconds = time.perf_counter() - start
    notes = [note for image in images for note in image.notes]
    cost = {"seconds": seconds, "working_mib": memory.mib}
    said = {"info": plain(made.info | how), "notes": notes, **cost, "inputs": seen, **made.payload}
    run.store.publish(
        stage,
        pair_id,
        pair_index=run.index(pair_id),
        arrays=[f"warp/{name}" for name in arrays],
        payload=said,
        files=list(made.files),
    )
    if preview:
        write_preview(run.store, [*pictures, *made.shown])
    return [Outcome(stage, pair_id, pair_id, seconds)]


def first_shows(shard: Shard) -> list[Call]:
    """One call per pair; the first also shows its pair, if the run shows nothing yet."""
    blank = not preview_path(shard.run.store).exists()
    return [(pair_id, blank and number == 0) for number, pair_id in enumerate(shard.left)]
