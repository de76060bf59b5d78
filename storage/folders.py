"""Image folders, and how their files become pairs."""

from __future__ import annotations

import csv
import itertools
import os
import random
from pathlib import Path

from storage.file_identity import MACHINE_ERRORS
from storage.file_names import shown

PAIRINGS = ("zip", "product", "random")
"""Pairings by name; anything else is the path of a CSV file with the columns source and exemplar."""

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        "png",
        "jpg",
        "jpeg",
        "jfif",
        "webp",
        "avif",
        "jp2",
        "bmp",
        "tif",
        "tiff",
        "gif",
        "tga",
        "ppm",
        "pgm",
    )
)
"""Endings of files that count as images, in lower case."""


class InputError(ValueError):
    """Input folders or a pairing that cannot be used; one line that says what to do."""


class FolderGone(OSError):
    """A folder of pictures that a run began with is not there any more; one line that names it and says what to do."""


def require_folder(folder: str | Path, run: str | Path) -> None:
    """Make sure that a missing picture is missing alone: its folder is there and shows something.

    Raises:
        FolderGone: it is missing, is no folder, cannot be listed, or is empty as a disk's folder is while the disk is
            not mounted. `run` is the run that stops.
    """
    try:
        with os.scandir(folder) as entries:
            if any(not entry.name.startswith(".") for entry in entries):
                return
        found = "is empty"
    except FileNotFoundError:
        found = "is gone"
    except NotADirectoryError:
        found = "is no folder any more"
    except OSError as error:
        if error.errno in MACHINE_ERRORS:
            raise
        found = f"cannot be listed ({error.strerror})"
    raise FolderGone(f"folder {folder} {found}; mount its disk or bring it back, then run `mgi resume {run}`")


def list_images(folder: str | Path) -> list[str]:
    """Images in `folder` and the folders below it: paths relative to it, with `/`, sorted.

    Hidden files, hidden folders and folders that hold a run are left out. Files are recognised by their suffix; whether
    they can be read shows later. Names are text that any file can hold: see `storage.file_names`.

    Raises:
        InputError: the folder is missing, is not a folder, cannot be listed, or holds no image.
    """
    root = Path(folder)
    if not root.exists():
        raise InputError(f"folder {folder} does not exist; give a folder of images")
    if not root.is_dir():
        raise InputError(f"{folder} is a file; give a folder of images")
    found: list[str] = []
    try:
        for here, folders, files in os.walk(root, onerror=_raise):
            if "run.zarr" in folders:  # results of a run, not inputs
                folders.clear()
                continue
            folders[:] = [name for name in folders if not name.startswith(".")]
            base = Path(here).relative_to(root)
            names = [n for n in files if not n.startswith(".") and Path(n).suffix.lower() in SUFFIXES]
            found += [shown((base / name).as_posix()) for name in names]
    except OSError as error:
        where = shown(str(error.filename or folder))
        raise InputError(f"folder {where} cannot be listed ({error.strerror}); check its permissions") from None
    if not found:
        known = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise InputError(f"folder {folder} holds no images; expected files ending in {known}")
    return sorted(found)


def duplicate_stems(folder: str | Path) -> list[str]:
    """One warning per group of images that differ only in their suffix, such as a.png and a.jpg.

    They are told apart (ids come from whole names), but the user may have meant only one of them.
    """
    names = list_images(folder)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rsplit(".", 1)[0], []).append(name)
    return [
        f"{folder} holds {' and '.join(group)}: both are used; remove one if they are the same image"
        for group in groups.values()
        if len(group) > 1
    ]


def make_pairs(
    sources_dir: str | Path, exemplars_dir: str | Path, pairing: str, limit: int | None, seed: int
) -> list[tuple[str, str]]:
    """Pairs of (source, exemplar), both relative to their folders.

    Args:
        sources_dir, exemplars_dir: folders of images.
        pairing: `zip` (first with first, in sorted order; a side that has a single image repeats it),
            `product` (every source with every exemplar, source by source),
            `random` (every source with one exemplar; all exemplars are used before any is used again), or
            the path of a CSV file with the columns source and exemplar. Files that a CSV file names need not exist:
            only their pairs fail, when they are read.
        limit: at most this many pairs, the first ones; None for all.
        seed: for `random`.

    Raises:
        InputError: a folder cannot be used, the counts do not zip, or the CSV file is not usable.
    """
    if limit is not None and limit < 1:
        raise InputError(f"expected a limit of at least 1, found {limit}")
    if pairing in PAIRINGS:
        sources, exemplars = list_images(sources_dir), list_images(exemplars_dir)
        pairs = {"zip": _zip, "product": _product, "random": _random}[pairing](sources, exemplars, seed)
    elif pairing.lower().endswith(".csv"):
        for folder in (sources_dir, exemplars_dir):
            if not Path(folder).is_dir():
                raise InputError(f"folder {folder} does not exist; paths in {pairing} are relative to it")
        pairs = _from_csv(Path(pairing))
    else:
        raise InputError(f"unknown pairing {pairing!r}; expected {', '.join(PAIRINGS)} or a path ending in .csv")
    return pairs[:limit]


def _zip(sources: list[str], exemplars: list[str], seed: int) -> list[tuple[str, str]]:
    count = max(len(sources), len(exemplars))
    if {len(sources), len(exemplars)} - {1, count}:
        raise InputError(
            f"pairing zip needs as many exemplars as sources, or a single one of either; found {len(sources)} sources "
            f"and {len(exemplars)} exemplars; use product, random or a CSV file"
        )
    return list(zip(_stretch(sources, count), _stretch(exemplars, count), strict=True))


def _stretch(names: list[str], count: int) -> list[str]:
    return names * count if len(names) == 1 else names


def _product(sources: list[str], exemplars: list[str], seed: int) -> list[tuple[str, str]]:
    return list(itertools.product(sources, exemplars))


def _random(sources: list[str], exemplars: list[str], seed: int) -> list[tuple[str, str]]:
    generator = random.Random(seed)
    drawn: list[str] = []
    while len(drawn) < len(sources):
        drawn += generator.sample(exemplars, len(exemplars))
    return list(zip(sources, drawn, strict=False))


def _from_csv(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # -sig: spreadsheets write a byte order mark
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = list(reader) if {"source", "exemplar"} <= set(columns) else None
    except FileNotFoundError:
        raise InputError(f"pairs file {path} does not exist") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"pairs file {path} cannot be read as UTF-8 CSV ({error})") from None
    if rows is None:
        raise InputError(
            f"pairs file {path} needs the columns source and exemplar, found {', '.join(columns) or 'none'}"
        )
    if not rows:
        raise InputError(f"pairs file {path} lists no pairs")
    pairs = [((row["source"] or "").strip(), (row["exemplar"] or "").strip()) for row in rows]
    for line, pair in enumerate(pairs, 2):
        if not all(pair):
            raise InputError(f"pairs file {path}, row {line}: expected a source and an exemplar, found {pair}")
    return pairs


def _raise(error: OSError) -> None:
    raise error
