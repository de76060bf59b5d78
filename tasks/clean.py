"""What a run holds that can be made again from the rest of it: removed to save room, or to send the run elsewhere."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from storage.run_store import RunStore
from tasks.editing.edit import FOLDER as EDITS
from tasks.paste import PASTED
from tasks.report.video import FOLDER as VIDEOS
from tasks.stages.report import PAGES
from tasks.unit import REPORT

AGAIN = {
    "report.html": "mgi report",
    "report": "mgi report",
    "contact_sheet.png": "mgi report",
    "tables": "mgi report",
    EDITS: "mgi edit",
    PASTED: "mgi paste",
    VIDEOS: "mgi invert --video",
}
"""What is removed -> the command that makes it again."""


@dataclass(frozen=True)
class Removed:
    """A file or folder of a run, how large it was, and the command that makes it again."""

    name: str
    size: int
    command: str


def clean_run(run: str, only_look: bool = False) -> list[Removed]:
    """Remove reports, tables, edits, pasted photographs and videos of a run; results and whatever made them stay.

    Args:
        run: the run's folder.
        only_look: say what there is and remove nothing.

    Raises:
        storage.run_header.NoRun: there is no run.
        storage.run_lock.RunLocked: another process works on it.
    """
    store = RunStore.open(run)
    with store.lock():
        found = [Removed(name, _size(Path(run) / name), command) for name, command in AGAIN.items()]
        found = [entry for entry in found if (Path(run) / entry.name).exists()]
        if not only_look:
            for entry in found:
                path = Path(run) / entry.name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            store.forget(REPORT, PAGES, REPORT)
    return found


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
