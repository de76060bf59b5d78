"""All methods and metrics as plain rows: what they do, their networks, and whether those are here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mgi import weights
from mgi.config import ConfigError
from mgi.metrics.registry import REGISTRY as METRICS
from mgi.metrics.registry import metric
from mgi.profiles import load_config
from mgi.registry import Row
from mgi.translators.registry import REGISTRY as METHODS
from mgi.translators.registry import method

PROFILE = "embedded"
"""Whose networks a method is listed with: it loads what a configuration names."""
CAPABILITIES = {"Warps": "warp", "Inverts": "invert pictures", "Searches": "search", "Edits": "edit"}


def method_rows() -> list[dict[str, Any]]:
    """One row per method; one that cannot be loaded says why."""
    return [_method_row(row) for row in METHODS.rows.values()]


def metric_rows() -> list[dict[str, Any]]:
    """One row per metric; one that cannot be loaded says why."""
    return [_metric_row(row) for row in METRICS.rows.values()]


def _method_row(row: Row) -> dict[str, Any]:
    try:
        found = method(row.name)
        config = load_config(PROFILE, method=row.name)
        names = list(dict.fromkeys(name for _, name in found.networks(config)))
        can = _abilities(found.load())
    except ConfigError as error:
        return _broken(row, error)
    return {
        "name": row.name,
        "summary": found.summary,
        "can": can,
        **_brought(_networks(names), found.brings),
        "paper": found.paper,
        "package": row.package,
    }


def _abilities(translator: type) -> list[str]:
    from mgi import translators

    members = {
        name: [member for member in vars(getattr(translators, name)) if not member.startswith("_")]
        for name in CAPABILITIES
    }
    found = [word for name, word in CAPABILITIES.items() if all(hasattr(translator, m) for m in members[name])]
    return ["translate", *found]


def _metric_row(row: Row) -> dict[str, Any]:
    from mgi.metrics.base import SetMetric

    try:
        found = metric(row.name)
    except ConfigError as error:
        return _broken(row, error)
    lowest, highest = (f"{number:g}" for number in found.range)
    return {
        "name": found.name,
        "standard": found.standard or row.package != "mgi",
        "better": found.arrow,
        "unit": found.unit,
        "range": f"{lowest} to {highest}",
        "per": "set" if isinstance(found, SetMetric) else "pair",
        "needs": list(found.needs),
        "summary": found.summary,
        **_networks(found.weights, "that of the domain" if "domain" in found.needs else ""),
        "reference": found.reference,
        "package": row.package,
    }


def _networks(names: Sequence[str], none: str = "") -> dict[str, Any]:
    """{"state": of all, "networks": their names in words, "weights": {name: state}}."""
    known = {entry.name: entry for entry in weights.entries()}
    states = {name: weights.state(known[name]) if name in known else "no such network" for name in names}
    said = [name if state == "here" else f"{name} ({state})" for name, state in states.items()]
    whole = "here" if set(states.values()) <= {"here"} else "missing"
    return {"state": whole, "networks": ", ".join(said) or none, "weights": states}


def _brought(row: dict[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """A row of a method that cannot be used before the user names files of theirs."""
    if not options:
        return row
    return {**row, "state": "bring", "networks": ", ".join([*filter(None, [row["networks"]]), *options])}


def _broken(row: Row, error: ConfigError) -> dict[str, Any]:
    return {"name": row.name, "summary": str(error), "state": "broken", "networks": "", "package": row.package}
