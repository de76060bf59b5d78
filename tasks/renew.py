"""Taking back what was made from pictures that have been replaced since."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tasks.editing import edit
from tasks.inputs import REFUSED, Changes, forget_index
from tasks.report import pictures, video
from tasks.report.preview import preview_path
from tasks.stages import select
from tasks.stages.ledger import Ledger
from tasks.stages.report import PAGES
from tasks.unit import REPORT


def renew(ledger: Ledger, changes: Changes) -> None:
    """Mark pairs whose pictures changed as not done, and delete what could pass for their results.

    For the process that holds the run's lock. It may be killed at any moment: the marker of the first stage, which
    shows that a pair changed, is removed last.
    """
    run, store = ledger.run, ledger.run.store
    store.forget(REPORT, REPORT)
    store.forget(REPORT, PAGES)
    for stage in ledger.stages:
        if stage.whole_set(run.config) is not None:  # every choice depends on the whole set
            ledger.forget(run.pair_ids(), stage)
    preview_path(store).unlink(missing_ok=True)
    for pair_id in changes.pairs:
        for path in _shown(Path(store.path), pair_id):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    store.release(changes.pairs)
    store.forget(REFUSED, *changes.pairs)
    ledger.forget(changes.pairs)
    forget_index(run, changes.pairs)


def _shown(run: Path, pair_id: str) -> Iterator[Path]:
    """Files and folders that show a pair."""
    yield select.final_path(run, pair_id)
    yield run / pictures.FOLDER / pair_id
    yield from video.video_paths(run, pair_id)
    for strips in (run / edit.FOLDER).glob("*"):
        yield from (strips / f"{pair_id}.png", strips / pair_id)
