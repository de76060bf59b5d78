"""The trajectory of an inversion as a small moving picture, rendered from the latents that the run kept."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from mgi.pairs import Hypothesis
from storage.atomic import write_bytes
from tasks.stages.invert import TRAJECTORY, lane_value
from tasks.unit import SELECT, Job, picture

FRAME_MS, LAST_MS = 120, 1500
SIDE = 256

FOLDER = "videos"
"""Of a run, for its videos."""


def write_video(job: Job, pair_id: str) -> Path | None:
    """Write `RUN/videos/ID.webp`: what was observed on the left, the trajectory of the chosen hypothesis on the right.

    Returns:
        Its path; None where the pair has no result.

    Raises:
        KeyError: the run kept no trajectory (`inversion.snapshots` was 0).
    """
    run = job.open()
    choice = run.store.done(SELECT, pair_id)
    if choice is None:
        return None
    path = video_path(job.run, pair_id)
    if path.is_file():
        return path
    hypothesis = Hypothesis.parse(choice["hypothesis"])
    trajectory = lane_value(run.store, TRAJECTORY, pair_id, hypothesis.id)
    seen = _square(picture(run.store, pair_id, "warp"))
    method = run.method()
    previews = [_square(method.preview({"latents": latents}, hypothesis)) for latents in trajectory]
    pictures = [Image.fromarray(np.concatenate([seen, preview], axis=1)) for preview in previews]
    buffer = io.BytesIO()
    durations = [FRAME_MS] * (len(pictures) - 1) + [LAST_MS]
    pictures[0].save(buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=85)
    write_bytes(path, buffer.getvalue())
    return path


def video_path(run: str | Path, pair_id: str) -> Path:
    """Where a pair's video is."""
    return Path(run) / FOLDER / f"{pair_id}.webp"


def _square(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
