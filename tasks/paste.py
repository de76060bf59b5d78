"""Results in the photographs that they were cut from, `RUN/pasted/<pair id>.png`: made from a finished run alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage.run_store import RunStore, StoreCorrupt
from tasks.stages.select import final_path
from tasks.unit import Job, one_line

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
        progress: called with (pairs done, pairs).

    Raises:
        storage.run_header.NoRun: there is no run.
        mgi.weights.WeightsError: the face detector is missing.
    """
    from storage.images import BadImage, read_image, write_png
    from tasks.stages.warp import confidence_of

    job = Job.of(RunStore.open(run))
    opened = job.open()
    made, ready, failed = 0, 0, dict[str, str]()
    pairs = [pair for pair in opened.pair_ids() if final_path(run, pair).is_file()]
    for number, pair in enumerate(pairs, start=1):
        final, path = final_path(run, pair), (out or Path(run) / PASTED) / f"{pair}.png"
        if path.is_file() and path.stat().st_mtime_ns >= final.stat().st_mtime_ns:
            ready += 1
        else:
            try:
                photo = read_image(opened.files(pair)[0]).pixels
                confidence = confidence_of(opened, pair)
                result = read_image(final).pixels
            except (BadImage, StoreCorrupt, KeyError) as error:
                failed[pair] = one_line(error)
                continue
            from mgi.alignment.paste import paste_back

            quad, _ = opened.align.quad(photo, "source")
            write_png(path, paste_back(photo, result, quad, confidence), {"mgi:pair": pair, "mgi:config": job.digest})
            made += 1
        if progress is not None:
            progress(number, len(pairs))
    return Pasted(made, ready, failed)
