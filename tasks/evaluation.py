"""Which metrics a run measures: the user asks for them, and the run's header keeps them outside its configuration.

`run.json` holds `"metrics": {"wanted": "standard", "keys": ["l2@0a1b...", ...], "resolved": "..."}`. The keys are
worked out when a command opens the run for work, and again only if what they depend on has changed: what is wanted,
which metrics exist, or which networks are here. Working them out imports the metrics, and PyTorch with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.run_header import write

if TYPE_CHECKING:
    from mgi.config import RunConfig
    from storage.run_store import RunStore


STANDARD = "standard"
"""What a run measures unless the user says otherwise: see `mgi metrics`."""


def keys_of(header: Mapping[str, Any]) -> list[str]:
    """`<metric>@<digest>` of the metrics that a run measures; none if no command has worked them out yet."""
    return list((header.get("metrics") or {}).get("keys", ()))


def name_of(key: str) -> str:
    """The metric of `<metric>@<digest>`, with or without a pair's id and a dot before it."""
    return key.rpartition(".")[2].partition("@")[0]


def decide(store: RunStore, config: RunConfig, wanted: str | None) -> list[str]:
    """Write the metrics that the run measures into its header, if they have changed.

    For the process that holds the run's lock. The networks of metrics are added to those that the run uses.

    Args:
        store: the run.
        config: the run's.
        wanted: what the user asks for now, see `mgi.metrics.registry.chosen`; None: what the run was asked for before.

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
    """What the header's field `metrics` should be, and notes on metrics that are not measured.

    Args:
        header, config, wanted: as for `decide`.
    """
    from mgi.metrics.registry import chosen
    from mgi.weights import zoo

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
            remedy = zoo.absent(zoo.entry(absent[0]))
            notes.append(f"metric {metric.name} is not measured: {absent[0]} is missing, `{remedy}`")
        else:
            keys.append(f"{metric.name}@{metric.digest(hashes)}")
    return {"wanted": asked, "keys": keys, "resolved": state, "missing": notes}, notes


def networks_of(keys: list[str]) -> list[str]:
    """The zoo's networks that these metrics use."""
    from mgi.metrics.registry import metric

    return sorted({name for key in keys for name in metric(name_of(key)).weights})


def _state(asked: str, task: str) -> str:
    """A value that changes whenever the keys could; found without importing a metric."""
    from mgi.metrics.registry import REGISTRY

    rows = [[row.name, row.target, row.package, _version(row.package)] for row in REGISTRY.rows.values()]
    files = sorted(Path(str(resources.files("mgi.metrics"))).glob("*.py"))
    ours = [file.read_text(encoding="utf-8") for file in files]
    said = json.dumps([asked, task, rows, ours, sorted(_here().items())])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _here() -> dict[str, str]:
    """{name: sha256} of the zoo's networks whose files are here. Files are checked when they are loaded."""
    from mgi.weights import zoo

    found = {entry.name: entry for entry in zoo.entries() if not zoo.absent(entry)}
    return {name: zoo.expected_sha256(entry) or "" for name, entry in found.items()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
