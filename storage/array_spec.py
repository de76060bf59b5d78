"""What an array of a run holds per pair."""

from __future__ import annotations

from typing import Any, NamedTuple

PICTURES = "warp"
"""The group of what belongs to a pair; in the others, arrays are called as hypotheses."""
AXIS_LABELS = "axis_labels"
"""The attribute {axis: its labels}; they become coordinates of the array's group (`storage.labels`)."""


class ArraySpec(NamedTuple):
    """What an array of the run holds per pair: shape and names of its axes (without the pair's), dtype name, facts.

    `dims` are None in runs of earlier versions. `attributes` are JSON-able, see `AXIS_LABELS`.
    """

    shape: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...] | None = None
    attributes: dict[str, Any] | None = None


def with_dims(name: str, spec: ArraySpec) -> ArraySpec:
    """The same with names for its axes, which say nothing and are no other array's, if it has none.

    Example:
        >>> with_dims("latents/L05N10", ArraySpec((2, 3), "float32")).dims
        ('latents_L05N10_1', 'latents_L05N10_2')
    """
    if spec.dims is not None:
        return spec
    return spec._replace(dims=tuple(f"{name.replace('/', '_')}_{axis}" for axis, _ in enumerate(spec.shape, 1)))
