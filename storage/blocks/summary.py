"""Which units a block has, in a few hundred bytes: enough to decide what is left without reading a marker.

    {"done": {"warp": [[[""], "ffffffffffffffff"]], "invert": [[["L04N10", "L05N10"], "ffffffffffffff7f"], ...]},
     "failed": {"invert": {"L05N10": "4"}}}

`done` holds for every stage the sets of parts that pairs have (`storage.unit_keys`), each with a mask in which bit n
stands for row n of the block. `failed` says the same of units that published a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Summary = dict[str, dict[str, Any]]
Parts = frozenset[str]


def summarise(units: Iterable[tuple[str, int, str, bool]]) -> Summary:
    """The summary of a block's units.

    Args:
        units: (stage, row within the block, part, whether it failed) of each.
    """
    rows: dict[str, dict[int, set[str]]] = {}
    failures: dict[str, dict[str, int]] = {}
    for stage, row, part, failed in units:
        rows.setdefault(stage, {}).setdefault(row, set()).add(part)
        if failed:
            masks = failures.setdefault(stage, {})
            masks[part] = masks.get(part, 0) | 1 << row
    done = {}
    for stage, found in sorted(rows.items()):
        same: dict[tuple[str, ...], int] = {}
        for row, parts in found.items():
            same[tuple(sorted(parts))] = same.get(tuple(sorted(parts)), 0) | 1 << row
        done[stage] = [[list(parts), f"{mask:x}"] for parts, mask in sorted(same.items())]
    failed_masks = {stage: {part: f"{mask:x}" for part, mask in masks.items()} for stage, masks in failures.items()}
    return {"done": done, "failed": failed_masks}


def parts_of(summary: Summary, stage: str, ids: list[str]) -> Iterator[tuple[Parts, list[str]]]:
    """(parts, pairs that have just these) of a stage; no pair twice.

    Args:
        summary: the block's.
        stage: its name.
        ids: pairs of the block, in the order of their rows.
    """
    for parts, mask in summary["done"].get(stage, ()):
        yield frozenset(parts), _chosen(ids, mask)


def failed_of(summary: Summary, stage: str, ids: list[str]) -> Iterator[tuple[str, list[str]]]:
    """(part, pairs for which it failed) of a stage; arguments as of `parts_of`."""
    for part, mask in summary["failed"].get(stage, {}).items():
        yield part, _chosen(ids, mask)


def _chosen(ids: list[str], mask: str) -> list[str]:
    """The pairs whose bits are set.

    Example:
        >>> _chosen(["a", "b", "c", "d"], "d")
        ['a', 'c', 'd']
    """
    bits = int(mask, 16)
    if bits == (1 << len(ids)) - 1:
        return ids
    return [id for row, id in enumerate(ids) if bits >> row & 1]
