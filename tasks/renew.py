"""Taking back what was made of pictures that have been replaced since."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tasks import edit, video
from tasks.inputs import REFUSED, Changes, forget_index
from tasks.preview import preview_path
from tasks.report import pictures
from tasks.stages import select
from tasks.unit import INVERT, REPORT, SCORE, SELECT, WARP, OpenRun, lane_key


def renew(run: OpenRun, changes: Changes) -> None:
    """Declare nothing done of the pairs whose pictures changed, and delete what a person could take for their results.

    For the process that holds the run's lock. It may be killed at any moment: what tells that a pair changed goes last.
    """
    store = run.store
    store.forget(REPORT, REPORT)
    if run.config.selection.rule == select.SET_RULE:  # every choice rests on the whole set
        for pair_id in store.keys_done(SELECT):
            store.forget(SELECT, pair_id)
    preview_path(store).unlink(missing_ok=True)
    for pair_id in changes.pairs:
        for path in _shown(Path(store.path), pair_id):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        store.forget(SELECT, pair_id)
        store.forget(SCORE, pair_id)
        for hypothesis in run.config.inversion.all_hypotheses():
            store.forget(INVERT, lane_key(pair_id, hypothesis.id))
        store.release(pair_id)
        store.forget(REFUSED, pair_id)
        store.forget(WARP, pair_id)
    forget_index(run, changes.pairs)


def _shown(run: Path, pair_id: str) -> Iterator[Path]:
    """Files and folders that show a pair."""
    yield select.final_path(run, pair_id)
    yield run / pictures.FOLDER / pair_id
    yield video.video_path(run, pair_id)
    for strips in (run / edit.FOLDER).glob("*"):
        yield from (strips / f"{pair_id}.png", strips / pair_id)
