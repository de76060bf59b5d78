"""Removing what nothing refers to: content that was replaced, and what killed pushes had sent.

Only objects up to the own token: a later command may have sent some that it has not published yet. Every name is used
once, so what is not referred to now never will be.
"""

from __future__ import annotations

from storage.remote.bucket import Bucket
from storage.remote.index import Index
from storage.remote.root import Root

FOLDERS = ("objects", "manifests")


def sweep(bucket: Bucket, index: Index, root: Root) -> int:
    """Delete what is not part of `root`, which this process has published last; returns how many objects."""
    used = {piece.object for row in index.rows.values() for piece in row.pieces}
    used |= {listed.name for listed in root.manifests}
    stray = [
        name for folder in FOLDERS for name in bucket.names(folder) if name not in used and _token(name) <= root.token
    ]
    if stray:
        bucket.delete(stray)
    return len(stray)


def _token(name: str) -> float:
    """The token under which an object was written; of what is not ours, one that nobody has."""
    number = name.split("/")[1].partition("-")[0]
    return int(number) if number.isdecimal() else float("inf")
