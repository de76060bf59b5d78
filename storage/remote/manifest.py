"""Manifests: which pieces of which objects are the content of a path.

A push writes one manifest of what it changed. So that neither their number nor their size grows with the run, a
manifest takes in those before it that are not twice as large: there are at most about twenty, and a path is written
again about as often as the number of files doubles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from storage.remote.bucket import Bucket, Gone, RemoteError
from storage.remote.root import ADVICE, Listed


class Piece(NamedTuple):
    """Part of a file: its hash, and where it lies."""

    sha256: str
    object: str
    start: int
    length: int


Pieces = tuple[Piece, ...]
"""The content of a file; an empty one has none."""


class Manifest(NamedTuple):
    """Paths that were written, and paths that were deleted."""

    files: Mapping[str, Pieces]
    gone: list[str]

    def as_bytes(self) -> bytes:
        """JSON; the names of objects, which many pieces share, are listed once."""
        numbers: dict[str, int] = {}
        files = {
            path: [
                [piece.sha256, numbers.setdefault(piece.object, len(numbers)), piece.start, piece.length]
                for piece in pieces
            ]
            for path, pieces in sorted(self.files.items())
        }
        content = {"objects": list(numbers), "files": files, "gone": self.gone}
        return json.dumps(content, separators=(",", ":")).encode()


def read_manifest(bucket: Bucket, listed: Listed) -> Manifest:
    """A manifest that a root lists.

    Raises:
        Gone: it is not there. RemoteError: it is not what was written.
    """
    found = bucket.read(listed.name)
    if found is None:
        raise Gone(f"{bucket.address}/{listed.name} is gone; {ADVICE}")
    if hashlib.sha256(found.data).hexdigest() != listed.sha256:
        raise RemoteError(f"{bucket.address}/{listed.name} is not what was published; {ADVICE}")
    content = json.loads(found.data)
    names = content["objects"]
    files = {
        path: tuple(Piece(sha256, names[number], start, length) for sha256, number, start, length in pieces)
        for path, pieces in content["files"].items()
    }
    return Manifest(files, content["gone"])


def read_files(bucket: Bucket, manifests: Iterable[Listed]) -> tuple[dict[str, tuple[Pieces, str]], dict[str, str]]:
    """All that is published.

    Returns:
        {path: (its pieces, the name of the manifest that says so)}, and {deleted path: name of the manifest}.

    Raises:
        Gone: a manifest is not there. RemoteError: one is damaged.
    """
    files: dict[str, tuple[Pieces, str]] = {}
    gone: dict[str, str] = {}
    for listed in manifests:
        manifest = read_manifest(bucket, listed)
        for path in manifest.gone:
            files.pop(path, None)
            gone[path] = listed.name
        for path, pieces in manifest.files.items():
            files[path] = (pieces, listed.name)
            gone.pop(path, None)
    return files, gone
