"""Which metrics a run measures: asked for by a person, kept in the run's header, outside of its configuration.

`run.json` holds `"metrics": {"wanted": "standard", "keys": ["l2@0a1b...", ...], "resolved": "..."}`. The keys are
worked out when a command opens the run for work, and again only where what they depend on has changed: what is wanted,
the metrics there are, or the networks that are here. Working them out imports the metrics, and PyTorch with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.run_header import write

if TYPE_CHECKING:
    from mgi.config import RunConfig
    from storage.run_store import RunStore


STANDARD = "standard"
"""What a run measures where nobody says otherwise: see `mgi metrics`."""


def keys_of(header: Mapping[str, Any]) -> list[str]:
    """`<metric>@<digest>` of the metrics that a run measures; none where no command has worked them out yet."""
    return list((header.get("metrics") or {}).get("keys", ()))


def name_of(key: str) -> str:
    """The metric of `<metric>@<digest>`, with a pair's id and a dot before it or not."""
    return key.rpartition(".")[2].partition("@")[0]


def decide(store: RunStore, config: RunConfig, wanted: str | None) -> list[str]:
    """Write the metrics that the run measures into its header, where they are others than before.

    For the process that holds the run's lock. The networks of metrics join those that the run is computed by.

    Args:
        store: the run.
        config: the run's.
        wanted: what a person asks for now, see `mgi.metrics.registry.chosen`; None: what the run was asked for.

    Returns:
        Notes on metrics that are asked for and not measured.

    Raises:
        mgi.registry.RegistryError: no such metric.
    """
    metrics, notes = resolved(store.header, config, wanted)
    if metrics != store.header.get("metrics"):
        known = _here()
        networks = {name: known[name] for name in networks_of(metrics["keys"])}
        weights = {**networks, **(store.header.get("weights") or {})}
        write(store.path / "run.json", {**store.header, "metrics": metrics, "weights": weights})
    return notes


def resolved(header: Mapping[str, Any], config: RunConfig, wanted: str | None) -> tuple[dict[str, Any], list[str]]:
    """The header's field `metrics` as it has to be, and notes on metrics that are not measured.

    Args:
        header, config, wanted: as for `decide`.
    """
    from mgi.metrics.registry import chosen

    before = header.get("metrics") or {}
    asked = wanted or before.get("wanted") or STANDARD
    state = _state(asked, config.task)
    if before.get("resolved") == state:
        return dict(before), list(before.get("missing", ()))
    hashes = _here()
    keys: list[str] = []
    notes: list[str] = []
    for metric in chosen(asked, config.task, notes):
        absent = [name for name in metric.weights if name not in hashes]
        if absent:
            notes.append(
                f"metric {metric.name} is not measured: {absent[0]} is missing, `mgi weights fetch {absent[0]}`"
            )
        else:
            keys.append(f"{metric.name}@{metric.digest(hashes)}")
    return {"wanted": asked, "keys": keys, "resolved": state, "missing": notes}, notes


def networks_of(keys: list[str]) -> list[str]:
    """The zoo's networks that these metrics use."""
    from mgi.metrics.registry import metric

    return sorted({name for key in keys for name in metric(name_of(key)).weights})


def _state(asked: str, task: str) -> str:
    """Changes whenever the keys could: found without importing a metric."""
    from mgi.metrics.registry import REGISTRY

    rows = [[row.name, row.target, row.package, _version(row.package)] for row in REGISTRY.rows.values()]
    ours = [file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parents[1].glob("mgi/metrics/*.py"))]
    said = json.dumps([asked, task, rows, ours, sorted(_here().items())])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _here() -> dict[str, str]:
    """{name: sha256} of the zoo's networks whose files are here. The files are checked when they are loaded."""
    from mgi.weights import zoo

    found = {entry.name: entry for entry in zoo.entries() if entry.path.is_file()}
    return {name: zoo.expected_sha256(entry) or "" for name, entry in found.items()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
