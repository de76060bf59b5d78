"""Publishing what a copy has and the address does not: objects, then a manifest, then the root."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from storage.remote.bucket import Bucket
from storage.remote.index import Index, Row
from storage.remote.manifest import Manifest, Pieces
from storage.remote.root import Listed, Root, publish
from storage.remote.scan import files_of, stat_of
from storage.remote.upload import Upload


def push(bucket: Bucket, folder: Path, index: Index, root: Root, etag: str, name: str) -> tuple[Root, str]:
    """Publish what changed in a folder since the last push.

    Args:
        bucket, folder: the address and its copy.
        index: what was published from this copy.
        root, etag: the root as this process wrote it last.
        name: begins the names of this attempt's objects; no other attempt, of whatever command, has it.

    Returns:
        The root and its etag afterwards; the same ones if nothing has changed.

    Raises:
        storage.remote.lease.LeaseLost: another process has taken over; nothing was published. RemoteError: the store
            failed; nothing was published, or all of it was.
    """
    with Upload(bucket, f"objects/{name}") as upload:
        found, gone = _changed(folder, index, upload)
    touched = {path: row for path, row in found.items() if row.manifest}
    new_content = {path: row.pieces for path, row in found.items() if not row.manifest}
    if not new_content and not gone:
        index.update(touched)
        return root, etag
    kept, manifest = _taken_in(index, root, new_content, gone)
    data = manifest.as_bytes()
    listed = Listed(f"manifests/{name}", hashlib.sha256(data).hexdigest(), len(manifest.files) + len(manifest.gone))
    bucket.write(listed.name, data)
    new = Root(root.token, (*kept, listed))
    index.intend(new.state)
    etag = publish(bucket, new, etag)
    stats = {path: row.stat for path, row in (index.rows | found).items()}
    rows = {path: Row(stats[path], pieces, listed.name) for path, pieces in manifest.files.items()}
    index.settle(new, {**touched, **rows}, gone, dict.fromkeys(manifest.gone, listed.name))
    return new, etag


def _changed(folder: Path, index: Index, upload: Upload) -> tuple[dict[str, Row], set[str]]:
    """Files that are not as they were published, and paths of which nothing is left.

    A row without a manifest has new content. One with a manifest only looks different, such as a file that was copied.
    """
    seen: set[str] = set()
    found: dict[str, Row] = {}
    for path, stat in files_of(folder):
        seen.add(path)
        row = None if path in index.distrusted else index.rows.get(path)
        if row is not None and row.stat == stat:
            continue
        try:
            with (folder / path).open("rb") as file:
                now = stat_of(os.fstat(file.fileno()))  # before it is read: what is appended meanwhile is seen later
                pieces = upload.add(file, row.pieces if row else ())
        except FileNotFoundError:  # it was taken back since it was listed
            seen.discard(path)
            continue
        found[path] = Row(now, pieces, row.manifest if row is not None and row.pieces == pieces else "")
    return found, set(index.rows) - seen


def _taken_in(
    index: Index, root: Root, content: dict[str, Pieces], gone: set[str]
) -> tuple[tuple[Listed, ...], Manifest]:
    """The manifests that stay, and the new one with what it takes in from those that do not."""
    kept, count, absorbed = list(root.manifests), len(content) + len(gone), set()
    while kept and kept[-1].count <= 2 * count:
        last = kept.pop()
        absorbed.add(last.name)
        count += last.count
    files = {path: row.pieces for path, row in index.rows.items() if row.manifest in absorbed and path not in gone}
    older = {path for path, name in index.gone.items() if name in absorbed and path not in content}
    return tuple(kept), Manifest({**files, **content}, sorted(gone | older) if kept else [])
