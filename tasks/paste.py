"""Results in the photographs that they were cut from, `RUN/pasted/<pair id>.png`: made from a finished run alone.

The faces of a photograph that have pairs of their own (`align.faces = "all"`) are pasted into one picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage.run_store import RunStore, StoreCorrupt
from tasks.stages.select import final_path
from tasks.unit import Job, OpenRun, one_line

if TYPE_CHECKING:
    import numpy as np

PASTED = "pasted"


@dataclass(frozen=True)
class Pasted:
    """How many photographs were made, how many were there before, and why others could not be."""

    made: int
    ready: int
    failed: dict[str, str]


def paste_run(run: str, out: Path | None = None, progress: Callable[[int, int], None] | None = None) -> Pasted:
    """Paste every result of a run into its source.

    A picture that is newer than its result is left as it is.

    Args:
        run: the run's folder.
        out: where to; None: `RUN/pasted`.
        progress: called with (photographs done, photographs).

    Raises:
        storage.run_header.NoRun: there is no run.
        mgi.weights.WeightsError: the face detector is missing.
    """
    from mgi.alignment.aligner import NoFace
    from storage.images import BadImage, write_png

    job = Job.of(RunStore.open(run))
    opened = job.open()
    made, ready, failed = 0, 0, dict[str, str]()
    photographs = _photographs(opened, [pair for pair in opened.pair_ids() if final_path(run, pair).is_file()])
    for number, pairs in enumerate(photographs, start=1):
        path = (out or Path(run) / PASTED) / f"{pairs[0]}.png"
        finals = [final_path(run, pair) for pair in pairs]
        if path.is_file() and path.stat().st_mtime_ns >= max(final.stat().st_mtime_ns for final in finals):
            ready += 1
        else:
            pixels = None
            for pair, final in zip(pairs, finals, strict=True):
                try:
                    pixels = _pasted(opened, pair, final, pixels)
                except (BadImage, NoFace, StoreCorrupt, KeyError) as error:
                    failed[pair] = one_line(error)
            if pixels is not None:
                write_png(path, pixels, {"mgi:pair": " ".join(pairs), "mgi:config": job.digest})
                made += 1
        if progress is not None:
            progress(number, len(photographs))
    return Pasted(made, ready, failed)


def _photographs(run: OpenRun, pairs: list[str]) -> list[list[str]]:
    """Pairs of the faces of one photograph with the same exemplar go into one picture, named after the first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for pair in pairs:
        found.setdefault(tuple(run.files(pair)), []).append(pair)
    return [sorted(members, key=run.face) for members in found.values()]


def _pasted(run: OpenRun, pair: str, final: Path, under: np.ndarray | None) -> np.ndarray:
    """The photograph of a pair, or what was made of it so far, with the pair's result."""
    from mgi.alignment.paste import paste_back
    from storage.images import read_image
    from tasks.stages.warp import confidence_of

    photo = read_image(run.files(pair)[0]).pixels
    quad, _ = run.align.quad(photo, "source", run.face(pair))
    result, confidence = read_image(final).pixels, confidence_of(run, pair)
    return paste_back(photo if under is None else under, result, quad, confidence)
