"""Pairs of a run whose folders hold more images now: the old pairs stay, and new images get a pair."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from storage.folders import InputError, list_images, make_pairs

NamePair = tuple[str, str]


def more_pairs(
    known: Sequence[NamePair],
    sources_dir: str | Path,
    exemplars_dir: str | Path,
    pairing: str,
    limit: int | None,
    seed: int,
) -> list[NamePair]:
    """Pairs of (source, exemplar) that the folders give to a run that has the pairs `known` already.

    Known pairs whose images are still there come first, then the new ones. `product` and a CSV file: the pairs that
    they give and the run lacks. `zip`: images that no known pair uses, first with first; a side that has a single
    image repeats it. `random`: sources that no known pair uses. They get their exemplars by the drawing of all sources
    where that still gives the known pairs, otherwise by one of their own that begins with unused exemplars.

    Args:
        known: the pairs of the run.
        sources_dir, exemplars_dir, pairing, limit, seed: as of `storage.folders.make_pairs`. The limit counts known
            pairs, too.

    Raises:
        InputError: as `make_pairs`; or the images that no pair uses yet do not zip.
    """
    if pairing not in ("zip", "random"):
        every = make_pairs(sources_dir, exemplars_dir, pairing, None, seed)
        given = set(every)
        return [*(pair for pair in known if pair in given), *_lacking(known, every)][:limit]
    sources, exemplars = list_images(sources_dir), list_images(exemplars_dir)
    there = set(sources), set(exemplars)
    kept = [(source, exemplar) for source, exemplar in known if source in there[0] and exemplar in there[1]]
    if pairing == "zip" and len(sources) > 1 and len(exemplars) > 1:
        new = _zip_unused(known, sources, exemplars)
    else:
        every = make_pairs(sources_dir, exemplars_dir, pairing, None, seed)
        stays = pairing == "zip" or set(kept) <= set(every)
        new = _lacking(known, every) if stays else _draw_unused(known, sources, exemplars, seed)
    return [*kept, *new][:limit]


def _lacking(known: Sequence[NamePair], every: Sequence[NamePair]) -> list[NamePair]:
    had = set(known)
    return [pair for pair in every if pair not in had]


def _unused(names: Sequence[str], known: Sequence[NamePair], side: int) -> list[str]:
    used = {pair[side] for pair in known}
    return [name for name in names if name not in used]


def _zip_unused(known: Sequence[NamePair], sources: Sequence[str], exemplars: Sequence[str]) -> list[NamePair]:
    new_sources, new_exemplars = _unused(sources, known, 0), _unused(exemplars, known, 1)
    if len(new_sources) != len(new_exemplars):
        raise InputError(
            "pairing zip adds pairs of images that no pair of the run uses, and needs as many sources as exemplars; "
            f"found {len(new_sources)} new sources and {len(new_exemplars)} new exemplars; add or remove some"
        )
    return list(zip(new_sources, new_exemplars, strict=True))


def _draw_unused(
    known: Sequence[NamePair], sources: Sequence[str], exemplars: Sequence[str], seed: int
) -> list[NamePair]:
    new, fresh = _unused(sources, known, 0), _unused(exemplars, known, 1)
    generator = random.Random(seed)
    drawn = generator.sample(fresh, len(fresh))
    while len(drawn) < len(new):
        drawn += generator.sample(list(exemplars), len(exemplars))
    return list(zip(new, drawn, strict=False))
