"""What the arrays of a run are: names of their axes, units, ranges and meaning. docs/data.md is made from these tables.

Arrays of methods of other packages may have any name; their axes get names that say nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mgi.config import RunConfig
from storage.array_spec import AXIS_LABELS, PICTURES, ArraySpec, with_dims

COLOURS = ["red", "green", "blue"]
OLD_NAMES = {"way": "trajectory"}
"""What mgi 0.1 called groups."""
OWN = "_{hypothesis}"
"""End of the name of an axis whose length depends on the hypothesis."""


@dataclass(frozen=True)
class Meaning:
    """One array, or the arrays of all hypotheses: axes after the pair's, dtype, meaning, unit, smallest and largest."""

    dims: tuple[str, ...]
    dtype: str
    said: str
    unit: str = "1"
    range: tuple[float, float] | None = None

    def spec(self, found: ArraySpec, hypothesis: str = "", facts: Mapping[str, Any] | None = None) -> ArraySpec:
        """The description of an array of this meaning, if it has as many axes."""
        if len(found.shape) != len(self.dims):
            return found
        about: dict[str, Any] = {"long_name": self.said, "units": self.unit, **(facts or {})}
        if self.range is not None:
            about["valid_range"] = list(self.range)
        if "channel" in self.dims:
            about[AXIS_LABELS] = {"channel": COLOURS}
        return found._replace(dims=tuple(dim.format(hypothesis=hypothesis) for dim in self.dims), attributes=about)


def _picture(said: str) -> Meaning:
    return Meaning(("y", "x", "channel"), "uint8", said, "1", (0, 255))


ARRAYS: dict[str, Meaning] = {
    "warp/source": _picture("the source, cut and scaled as the method saw it; the picture, if pictures are inverted"),
    "warp/exemplar": _picture("the exemplar in the same way; the picture again, if pictures are inverted"),
    "warp/warp": _picture("the warped exemplar; what is observed of the picture, if pictures are inverted"),
    "warp/confidence": Meaning(
        ("cell_y", "cell_x"), "uint8", "how far a match can be trusted; 255: it leads there and back", "1/255", (0, 255)
    ),
    "warp/oeft_loss": Meaning(("iteration", "term"), "float32", "loss terms of the fine-tuning, by iteration"),
    "latents": Meaning(
        ("latent" + OWN,), "float32", "what the hypothesis was optimised to; `parts` says what lies where in a row"
    ),
    "features": Meaning(
        ("component", "feature_y", "feature_x"), "float16 or float32", "features that the hypothesis is scored by"
    ),
    "loss": Meaning(("step",), "float32", "loss of every step; NaN after the last one"),
    "trajectory": Meaning(("snapshot", "latent" + OWN), "float32", "latents at some steps (`inversion.snapshots`)"),
}
"""By name, or by group where every hypothesis has one."""


def picture_specs(config: RunConfig, size: int) -> dict[str, ArraySpec]:
    """{name: what it holds} of the group `warp` of a new run whose pictures have `size` rows."""
    found = {f"{PICTURES}/{name}": ArraySpec((size, size, 3), "uint8") for name in ("source", "exemplar", "warp")}
    for name, (shape, dtype) in config.warp_arrays().items():
        found[f"{PICTURES}/{name}"] = ArraySpec(shape, dtype)
    return {name: described(name, spec, config) for name, spec in found.items()}


def described(name: str, spec: ArraySpec, config: RunConfig, facts: Mapping[str, Any] | None = None) -> ArraySpec:
    """The same with names of axes and attributes.

    Args:
        name: such as `loss/L05N10`.
        spec: shape and dtype.
        config: the run's.
        facts: further attributes.
    """
    group, _, short = name.partition("/")
    meaning = ARRAYS.get(name) or ARRAYS.get(OLD_NAMES.get(group, group))
    found = spec if meaning is None else meaning.spec(spec, short, facts)
    if name == f"{PICTURES}/oeft_loss" and found.attributes:
        terms = list(config.oeft.terms())
        if len(terms) == spec.shape[-1]:
            found.attributes[AXIS_LABELS] = {"term": terms}
    return with_dims(name, found)


def apart(specs: Mapping[str, ArraySpec]) -> dict[str, ArraySpec]:
    """The same; an axis that has two lengths in one group is called by the array's name as well, as xarray needs it."""
    lengths: dict[tuple[str, str], set[int]] = defaultdict(set)
    for name, spec in specs.items():
        for dim, length in zip(spec.dims or (), spec.shape, strict=True):
            lengths[name.partition("/")[0], dim].add(length)
    found = {}
    for name, spec in specs.items():
        group, _, short = name.partition("/")
        dims = tuple(f"{dim}_{short}" if len(lengths[group, dim]) > 1 else dim for dim in spec.dims or ())
        found[name] = spec if dims == spec.dims else with_dims(name, spec._replace(dims=dims, attributes=_plain(spec)))
    return found


def parts_of(shapes: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """What a latent vector is made of, as its attribute `parts` says it.

    Example:
        >>> parts_of({"codes": (10, 512), "tail": (1, 512)})[1]
        {'name': 'tail', 'rows': 1, 'columns': 512, 'start': 5120, 'stop': 5632}
    """
    parts: list[dict[str, Any]] = []
    start = 0
    for name, (rows, columns) in shapes.items():
        stop = start + rows * columns
        parts.append({"name": name, "rows": rows, "columns": columns, "start": start, "stop": stop})
        start = stop
    return parts


def lane_specs(
    config: RunConfig,
    shapes: Mapping[str, Mapping[str, tuple[Sequence[int], str]]],
    parts: Mapping[str, Mapping[str, tuple[int, int]]],
    steps: Sequence[int] = (),
) -> dict[str, dict[str, ArraySpec]]:
    """{hypothesis: {name: what it holds}} of all arrays of lanes.

    Args:
        config: the run's.
        shapes: {hypothesis: {name: (shape, dtype)}}.
        parts: {hypothesis: what its latents are made of}, where the method says it.
        steps: those of the snapshots.
    """
    found = {}
    for hypothesis, arrays in shapes.items():
        for name, (shape, dtype) in arrays.items():
            facts: dict[str, Any] = {"hypothesis": hypothesis}
            if name == "latents" and hypothesis in parts:
                facts["parts"] = parts_of(parts[hypothesis])
            if name == "trajectory" and steps:
                facts[AXIS_LABELS] = {"snapshot": list(steps)}
            full = f"{name}/{hypothesis}"
            found[full] = described(full, ArraySpec(tuple(shape), dtype), config, facts)
    whole = apart(found)
    return {id: {name: whole[f"{name}/{id}"] for name in arrays} for id, arrays in shapes.items()}


def _plain(spec: ArraySpec) -> dict[str, Any] | None:
    """Attributes without labels of axes, which have other names now."""
    return spec.attributes and {name: value for name, value in spec.attributes.items() if name != AXIS_LABELS}
