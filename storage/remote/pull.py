"""Making a copy on this machine equal to what is published."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from storage.atomic import write_bytes
from storage.remote.bucket import Bucket
from storage.remote.download import Damaged, contents
from storage.remote.index import NO_STAT, Index, Row
from storage.remote.manifest import Pieces, read_files
from storage.remote.root import Root
from storage.remote.scan import files_of, stat_of

Report = Callable[[str, str], None]
"""Gets told about a path that cannot be brought, and why."""


def pull(bucket: Bucket, folder: Path, aside: Path, index: Index, root: Root, damaged: Report) -> int:
    """Bring a copy to the state of the address, unless it is the copy that is ahead.

    It is ahead if a command worked in it and did not publish all, and nobody has published since: then it stays as it
    is, with what was deleted in it. Otherwise the address wins. Files that it does not have are not thrown away: they
    are moved aside, where they stay until the next time.

    Args:
        bucket, folder: the address and its copy.
        aside: folder for what the address does not have.
        index: what is known about the copy.
        root: what is published.
        damaged: gets told what cannot be brought; or raises.

    Returns:
        How many files were moved aside.
    """
    ahead = index.dirty and index.knows(root.state) and (folder / "run.json").is_file()
    here = dict(files_of(folder))
    known = {path for path, row in index.rows.items() if row.stat == here.get(path)}
    if not index.settled_at(root.state):
        read_again(bucket, index, root)
    if ahead:
        return 0
    strange = [path for path in here if path not in index.rows]
    wanted: dict[str, Pieces] = {}
    same: dict[str, Row] = {}
    for path, row in index.rows.items():
        stat = here.get(path)
        if stat is not None and stat == row.stat and index.trusted:
            continue
        if stat is not None and _holds(folder / path, row.pieces):
            same[path] = row._replace(stat=stat)
            continue
        if stat is not None:
            strange.append(path)
        wanted[path] = row.pieces
    index.update(same)
    for path in known.intersection(strange):  # published once, and replaced since
        (folder / path).unlink()
    strange = [path for path in strange if path not in known]
    _move(folder, aside, strange)
    bring(bucket, folder, index, wanted, damaged)
    index.note(dirty=False)
    index.note_boot()
    return len(strange)


def bring(bucket: Bucket, folder: Path, index: Index, wanted: dict[str, Pieces], damaged: Report) -> None:
    """Write published files into a copy."""
    rows: dict[str, Row] = {}
    for path, data in contents(bucket, wanted):
        if isinstance(data, Damaged):
            damaged(path, str(data))
            continue
        write_bytes(folder / path, data, flush=False)
        rows[path] = index.rows[path]._replace(stat=stat_of((folder / path).stat()))
        if len(rows) >= 4096:  # a pull that is interrupted goes on where it was
            index.update(rows)
            rows = {}
    index.update(rows)


def read_again(bucket: Bucket, index: Index, root: Root) -> None:
    """Make the index's rows what is published; what is known about files here stays where their content is the same.

    Manifests that the index knows are not read again: whatever took in others says all that they said.
    """
    files, gone = read_files(bucket, [listed for listed in root.manifests if listed.name not in index.manifests])
    rows = {}
    for path, (pieces, name) in files.items():
        old = index.rows.get(path)
        rows[path] = Row(old.stat if old is not None and old.pieces == pieces else NO_STAT, pieces, name)
    names = {listed.name for listed in root.manifests}
    left = {path for path, row in index.rows.items() if row.manifest not in names or path in gone}
    index.settle(root, rows, left - rows.keys(), gone)


def _holds(path: Path, pieces: Pieces) -> bool:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        return all(
            hashlib.sha256(file.read(piece.length)).hexdigest() == piece.sha256 for piece in pieces
        ) and not file.read(1)
    return False


def _move(folder: Path, aside: Path, paths: list[str]) -> None:
    if not paths:
        return
    shutil.rmtree(aside, ignore_errors=True)
    for path in paths:
        (aside / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).replace(aside / path)
