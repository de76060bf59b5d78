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


def parts_of(summary: Summary, stage: str) -> Iterator[tuple[Parts, list[int]]]:
    """(parts, rows that have just these) of a stage; no row twice."""
    for parts, mask in summary["done"].get(stage, ()):
        yield frozenset(parts), rows_of(mask)


def failed_of(summary: Summary, stage: str) -> Iterator[tuple[str, list[int]]]:
    """(part, rows in which it failed) of a stage."""
    for part, mask in summary["failed"].get(stage, {}).items():
        yield part, rows_of(mask)


def rows_of(mask: str) -> list[int]:
    """The rows whose bits are set.

    Example:
        >>> rows_of("29")
        [0, 3, 5]
    """
    bits = int(mask, 16)
    return [row for row in range(bits.bit_length()) if bits >> row & 1]
