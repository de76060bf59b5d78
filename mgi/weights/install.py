"""From a zoo name to a verified `.safetensors` file, fetched and converted once for all processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

import filelock

from mgi.weights import zoo
from mgi.weights.canonical import write_safetensors
from mgi.weights.download import Progress, obtain
from mgi.weights.errors import WeightsCorrupt, WeightsError


def path(name: str) -> Path:
    """The verified local file of `name`; fetched first if it is missing and fetching is allowed.

    Raises:
        WeightsMissing: it is not here and could not be fetched; the message says what to bring and where to put it.
        WeightsCorrupt: it is here and damaged (`fetch` replaces it).
        WeightsError: the name is unknown, or the weights folder cannot be written.
    """
    item = zoo.entry(name)
    return zoo.check(item) if item.in_package or item.path.is_file() else fetch(name)


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Make sure that the file of `name` is here and intact, replacing a damaged one, and return its path.

    Only one process fetches; others wait for it. A process that is killed leaves no file under a final name, and the
    next process removes or continues what it left under other names.

    Args:
        progress: called with the bytes downloaded so far and in all (0 if unknown).

    Raises: as `path`.
    """
    item = zoo.entry(name)
    if item.in_package:
        return zoo.check(item)
    zoo.require_package(item)  # before anything is downloaded
    folder = zoo.folder()
    _sweep(folder)
    if zoo.state(item) == "here":  # without the lock, so a read-only folder works too
        return zoo.check(item)
    work = folder / f".{item.name}.work"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f".{item.name}.lock"):
            if zoo.state(item) != "here":
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                try:
                    _install(item, obtain(item, progress or _silent), work)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise WeightsError(
            f"cannot write weights to {folder}: {error.strerror or error}; free some space or set MGI_WEIGHTS_DIR"
        ) from None
    return zoo.check(item)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left of files that are here now. Pieces of others are continued, so they stay."""
    for item in zoo.entries():
        left = [path for path in (folder / f"{item.file}.part", folder / f".{item.name}.work") if path.exists()]
        if not left or item.in_package or zoo.state(item) != "here":
            continue
        lock = filelock.FileLock(folder / f".{item.name}.lock", blocking=False)
        with contextlib.suppress(OSError, filelock.Timeout), lock:  # Timeout: a living process is at it
            for path in left:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _install(item: zoo.Entry, published: Path, work: Path) -> None:
    """Convert the published file and put the result, and a record of its hash if needed, under final names."""
    from mgi.weights.convert import CONVERTERS  # imports PyTorch, which listing and checking weights do not need

    try:
        tensors, metadata = CONVERTERS[item.converter](published)
    except Exception as error:  # a foreign file can fail in any way; its hash was right, so say what is known
        reason = " ".join(str(error).split())[:200]
        raise WeightsCorrupt(
            f"{published.name} for {item.name} has the right hash but cannot be read: {reason}"
        ) from None
    part = work / "converted.safetensors"
    write_safetensors(part, tensors, metadata)
    found = zoo.sha256_of(part)
    if item.sha256 and found != item.sha256:
        raise WeightsCorrupt(
            f"{item.name} converts to sha256 {found[:12]}..., expected {item.sha256[:12]}...; "
            f"{published.name} is right, so this is a fault of the converter: please report it with your platform"
        )
    if not item.sha256:
        record = {"sha256": found, "file_sha256": zoo.sha256_of(published), "source": item.source}
        record_part = work / "record.json"
        with record_part.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        record_part.replace(item.record_path)  # before the file that it describes: never a file without its record
    part.replace(item.path)
    if published.suffix == ".part":
        published.unlink()  # our own download; a copy that the user brought stays


def _silent(done: int, total: int) -> None:
    """Show no progress."""
