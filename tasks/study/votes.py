"""Votes in SQLite: one per participant, set and question; each is on the disk before the page hears of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

VOTES = "votes.sqlite"
_TABLE = """
CREATE TABLE IF NOT EXISTS votes (
    participant TEXT NOT NULL, set_id TEXT NOT NULL, question TEXT NOT NULL, choice TEXT NOT NULL, voted REAL NOT NULL,
    PRIMARY KEY (participant, set_id, question)
)"""


class Vote(NamedTuple):
    """Who chose which option for which question of which set."""

    participant: str
    set_id: str
    question: str
    choice: str


@contextmanager
def _open(folder: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(Path(folder) / VOTES, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer, and a crash loses nothing
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_TABLE)
        yield connection


def cast(folder: str, vote: Vote) -> None:
    """Keep a vote; the same person's second answer to a question takes the place of the first."""
    with _open(folder) as connection, connection:
        connection.execute(
            "INSERT INTO votes VALUES (?, ?, ?, ?, ?) ON CONFLICT (participant, set_id, question) "
            "DO UPDATE SET choice = excluded.choice, voted = excluded.voted",
            (*vote, time.time()),
        )


def votes_of(folder: str, participant: str | None = None) -> list[Vote]:
    """All votes, or one participant's, in the order of participants, sets and questions."""
    if not (Path(folder) / VOTES).is_file():
        return []
    where, values = ("WHERE participant = ?", (participant,)) if participant is not None else ("", ())
    with _open(folder) as connection:
        rows = connection.execute(
            f"SELECT participant, set_id, question, choice FROM votes {where} ORDER BY participant, set_id, question",
            values,
        )
        return [Vote(*row) for row in rows]
