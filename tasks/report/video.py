"""The trajectory of an inversion as a small film, rendered from the latents that the run kept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from mgi.pairs import Hypothesis
from storage.atomic import write_bytes
from tasks.report.movie import MP4, WEBP, film, writes_mp4
from tasks.stages.invert import TRAJECTORY, lane_value
from tasks.unit import SELECT, Job, picture

FRAME_S, LAST_S = 0.12, 1.5
SIDE = 256

FOLDER = "videos"
"""Of a run, for its videos."""


def write_videos(job: Job, count: int) -> Iterator[Path]:
    """Write videos of the first `count` pairs that have a result, and yield their paths; pairs in quarantine have none.

    Raises:
        KeyError: as `write_video`.
    """
    written = (path for pair_id in job.open().pair_ids() if (path := write_video(job, pair_id)) is not None)
    return islice(written, count)


def write_video(job: Job, pair_id: str) -> Path | None:
    """Write `RUN/videos/ID.mp4`: what was observed on the left, the trajectory of the chosen hypothesis on the right.

    It is `ID.webp` where nothing writes MP4. One that is there is left as it is, unless it is WebP and could be MP4.

    Returns:
        Its path; None where the pair has no result.

    Raises:
        KeyError: the run kept no trajectory (`inversion.snapshots` was 0).
    """
    run = job.open()
    choice = run.store.done(SELECT, pair_id)
    if choice is None:
        return None
    mp4, webp = video_paths(job.run, pair_id)
    if mp4.is_file():
        return mp4
    if webp.is_file() and not writes_mp4():
        return webp
    hypothesis = Hypothesis.parse(choice["hypothesis"])
    trajectory = lane_value(run.store, TRAJECTORY, pair_id, hypothesis.id)
    seen = _square(picture(run.store, pair_id, "warp"))
    method = run.method()
    previews = [_square(method.preview({"latents": latents}, hypothesis)) for latents in trajectory]
    suffix, content = film([np.concatenate([seen, preview], axis=1) for preview in previews], FRAME_S, LAST_S)
    path = mp4 if suffix == MP4 else webp
    write_bytes(path, content)
    if path == mp4:
        webp.unlink(missing_ok=True)
    return path


def video_paths(run: str | Path, pair_id: str) -> tuple[Path, Path]:
    """Where a pair's video is, as MP4 or else as WebP."""
    mp4, webp = (Path(run) / FOLDER / f"{pair_id}{suffix}" for suffix in (MP4, WEBP))
    return mp4, webp


def _square(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
