"""What this machine knows about its copy of a remote run: which files are as they were published, and under which root.

A small database beside the copy, so that a push writes down what it changed and nothing else. It is knowledge, not
truth: without it, or with an old one, the copy is compared with the address file by file.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from storage.boot import boot_id
from storage.remote.manifest import Piece, Pieces
from storage.remote.root import Root

Stat = tuple[int, int, int]
"""Size, time of the last change in ns, inode."""
NO_STAT: Stat = (-1, -1, -1)
"""Of a file that is not here as it was published."""


class Row(NamedTuple):
    """A published file: what it was here when it was published, its content, and the manifest that lists it."""

    stat: Stat
    pieces: Pieces
    manifest: str


class Index:
    """The database of one copy. Make it with `open_index`."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._read()
        except BaseException:
            self.close()  # what is damaged is deleted next, and Windows deletes no open file
            raise

    def _read(self) -> None:
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT)")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INT, time INT, inode INT, pieces TEXT, "
            "manifest TEXT)"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS gone (path TEXT PRIMARY KEY, manifest TEXT)")
        self._facts: dict[str, Any] = {name: json.loads(value) for name, value in self._all("facts")}
        self.rows = {
            path: Row((size, time, inode), tuple(Piece(*piece) for piece in json.loads(pieces)), manifest)
            for path, size, time, inode, pieces, manifest in self._all("files")
        }
        self.gone: dict[str, str] = dict(self._all("gone"))
        """Deleted paths, and the manifest that says so."""
        self.distrusted: set[str] = set()
        """Paths whose objects were seen to be damaged: they are sent again."""

    def knows(self, state: str) -> bool:
        """Whether the copy was last made equal to this state (`Root.state`), or has published it."""
        return self.settled_at(state) or state in self._facts.get("pending", ())

    def settled_at(self, state: str) -> bool:
        """Whether the rows are what this state says."""
        return bool(self._facts.get("state", Root().state) == state)

    @property
    def manifests(self) -> frozenset[str]:
        """Names of the manifests that the rows come from."""
        return frozenset(self._facts.get("manifests", ()))

    def intend(self, state: str) -> None:
        """Write down a state that is about to be published: whether it was may never be known."""
        self.note(pending=[*self._facts.get("pending", ()), state])

    @property
    def dirty(self) -> bool:
        """Whether the copy may hold work that is not published."""
        return bool(self._facts.get("dirty"))

    @property
    def trusted(self) -> bool:
        """Whether size and time tell that a file is as it was: not after a crash of the machine."""
        return boot_id() is not None and self._facts.get("boot") == boot_id()

    def note(self, **facts: Any) -> None:
        """Write down facts, such as `dirty`."""
        self._facts |= facts
        self._db.executemany("REPLACE INTO facts VALUES (?, ?)", [(k, json.dumps(v)) for k, v in facts.items()])

    def note_boot(self) -> None:
        """Write down that all files were looked at since the machine's last start."""
        self.note(boot=boot_id())

    def update(self, rows: dict[str, Row], removed: Iterable[str] = ()) -> None:
        """Write down rows that are new or changed, and paths that are not published any more."""
        with self._at_once():
            self._write(rows, removed)

    def settle(self, root: Root, rows: dict[str, Row], removed: Iterable[str], gone: dict[str, str]) -> None:
        """Write down what a push has published, or what was read from the address: all at once.

        Args:
            root: the root as it is now.
            rows: files that are new or changed.
            removed: paths that are not published any more.
            gone: deleted paths, and the manifests of `root` that say so; those that were known are kept.
        """
        names = {listed.name for listed in root.manifests}
        kept = {path: name for path, name in (self.gone | gone).items() if name in names and path not in rows}
        with self._at_once():
            self._write(rows, removed)
            self._db.execute("DELETE FROM gone")
            self._db.executemany("INSERT INTO gone VALUES (?, ?)", list(kept.items()))
            self.note(state=root.state, pending=[], manifests=sorted(names))
        self.gone = kept
        self.distrusted.clear()

    def _write(self, rows: dict[str, Row], removed: Iterable[str]) -> None:
        removed = list(removed)
        self._db.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in removed])
        self._db.executemany(
            "REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
            [(path, *row.stat, json.dumps(row.pieces), row.manifest) for path, row in rows.items()],
        )
        for path in removed:
            self.rows.pop(path, None)
        self.rows |= rows

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextlib.contextmanager
    def _at_once(self) -> Any:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _all(self, table: str) -> list[Any]:
        return self._db.execute(f"SELECT * FROM {table}").fetchall()


def open_index(path: Path) -> Index:
    """The database at a path; a damaged one is begun again, and the copy is then compared file by file."""
    try:
        return Index(path)
    except (sqlite3.DatabaseError, ValueError, TypeError):
        for name in (path.name, f"{path.name}-journal"):
            path.with_name(name).unlink(missing_ok=True)
        return Index(path)
