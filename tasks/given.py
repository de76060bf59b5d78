"""Which file of a folder is the result of which pair, for pictures that another program made."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mgi.pairs import Pair, split_face
from storage.file_identity import Looker
from storage.folders import InputError, list_images
from storage.images import BadImage, read_image


def content_of(folder: str) -> str:
    """12 hex digits of the names and contents of a folder's pictures.

    Raises:
        storage.folders.InputError: it cannot be used.
    """
    digest, looker = hashlib.sha256(), Looker()
    for name in list_images(folder):
        found = looker.identity(str(Path(folder) / name))
        digest.update(f"{name} {found.sha256 if found else None}\n".encode())
    return digest.hexdigest()[:12]


def match_results(folder: str, pairs: Sequence[Pair], strict: bool = True) -> dict[str, str]:
    """{pair id: file} of a folder of results.

    A result is called as its pair (`SOURCE__EXEMPLAR`, with or without the pair's hash) or, if its source is in one
    pair, as that source; endings do not count, nor do folders where no other source has the name.

    Args:
        folder: of the results, and folders below it.
        pairs: all pairs.
        strict: every pair has to have one; else those that have none are left out.

    Raises:
        storage.folders.InputError: the folder cannot be used, or a pair has no result or several.
    """
    files: dict[str, list[str]] = {}
    for name in list_images(folder):
        files.setdefault(str(Path(name).with_suffix("")), []).append(name)
    sources = [split_face(pair.source)[0] for pair in pairs]
    times, stems = Counter(sources), Counter(map(_stem, sources))
    found: dict[str, str] = {}
    for pair, source in zip(pairs, sources, strict=True):
        names = [pair.id, f"{_stem(source)}__{_stem(pair.exemplar)}"]
        if times[source] == 1:
            names.append(str(Path(source).with_suffix("")))
            if stems[_stem(source)] == 1:
                names.append(_stem(source))
        hit = next((files[name] for name in names if name in files), None)
        if hit is None and not strict:
            continue
        if hit is None:
            raise InputError(
                f"{folder}: expected a result of {pair.source} by {pair.exemplar}, such as {names[-1]}.png, found none "
                f"among {len(files)} pictures; name results as their sources or as SOURCE__EXEMPLAR"
            )
        if len(hit) > 1:
            raise InputError(f"{folder}: {' and '.join(hit)} are both results of {pair.source}; keep one of them")
        found[pair.id] = str(Path(folder) / hit[0])
    return found


def read_result(path: str) -> np.ndarray:
    """A result, uint8 [R, R, 3].

    Raises:
        storage.images.BadImage: it cannot be read or is not square.
    """
    pixels = read_image(path).pixels
    if pixels.shape[0] != pixels.shape[1]:
        height, width = pixels.shape[:2]
        raise BadImage(f"{path}: expected a square result, found {width} x {height}; crop it as its source was")
    return pixels


def _stem(name: str) -> str:
    return Path(name).stem
