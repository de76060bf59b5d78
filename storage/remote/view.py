"""What `mgi status` reads of a remote run: a folder with its header, plan and markers, and names of the rest.

It needs no lease, so it can be asked for while a command works. It is of one moment: that of the root that was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import filelock

from storage.remote.bucket import Bucket, Gone
from storage.remote.download import Damaged
from storage.remote.index import Index, open_index
from storage.remote.mirror import Options
from storage.remote.pull import bring, read_again
from storage.remote.root import Root, read_root
from storage.remote.scan import files_of
from storage.run_header import NoRun

ARRAYS = "run.zarr/"
WHOLE = ("run.json", "plan.parquet", "quarantine.csv", "log.jsonl")
MARKERS = "done/"
TRIES = 5


@contextmanager
def open_view(address: str, options: Options, new: bool = False) -> Iterator[Path]:
    """A folder that shows the state of a run. Of arrays there is nothing, and results are empty files.

    Args:
        address, options: as of `storage.remote.mirror.open_mirror`.
        new: whether there may be no run; the folder then is empty.

    Raises:
        NoRun: there is none. storage.remote.bucket.RemoteError: the store refuses or does not answer.
    """
    bucket, home = Bucket(address, options.patience), options.home(address)
    if read_root(bucket) is None and not new:
        raise NoRun(f"{address} holds no run (it has no root.json); start one with `mgi translate`")
    home.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home / "view.lock"), closing(open_index(home / "view.sqlite")) as index:
        for left in reversed(range(TRIES)):
            root, _ = read_root(bucket) or (Root(), "")
            try:
                _show(bucket, home / "view", index, root)
                break
            except (Gone, Damaged):  # what was replaced meanwhile is swept at the end of a command
                if not left:
                    raise
        yield home / "view"


def _show(bucket: Bucket, folder: Path, index: Index, root: Root) -> None:
    if not index.settled_at(root.state):
        read_again(bucket, index, root)
    here = dict(files_of(folder))
    for path in here.keys() - index.rows.keys():
        (folder / path).unlink()
    whole = {path: row for path, row in index.rows.items() if path in WHOLE or path.startswith(MARKERS)}
    wanted = {path: row.pieces for path, row in whole.items() if here.get(path) != row.stat or not index.trusted}
    bring(bucket, folder, index, wanted, _refuse)
    for path in index.rows.keys() - whole.keys() - here.keys():
        if not path.startswith(ARRAYS):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    index.note_boot()


def _refuse(path: str, said: str) -> None:
    raise Damaged(f"{path}: {said}; `mgi verify RUN --repair` forgets what is damaged")
