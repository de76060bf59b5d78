"""Shell commands that continue a run or make it again, and its configuration as a profile."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from mgi.config import ConfigError, RunConfig
from mgi.profiles import load_config
from storage.remote.address import called
from storage.run_store import RunStore
from tasks.report.history import inputs_of
from tasks.unit import TRANSLATE, WARP


def commands_of(store: RunStore, config: RunConfig) -> dict[str, str]:
    """Shell commands that continue this run, and that make it again elsewhere."""
    run = called(store.path)
    inputs = inputs_of(store.header, str(store.path))
    folders = [str(inputs.get("sources", ""))]
    if config.task == "translate":
        folders.append(str(inputs.get("exemplars", "")))
    again = ["mgi", config.task, *folders, "--out", "NEW_RUN", "--profile", config.profile]
    again += ["--method", config.method]
    for key in ("pairing", "limit", "seed"):
        if inputs.get(key) is not None and not (key == "pairing" and config.task == "invert"):
            again += [f"--{key}", str(inputs[key])]
    for key, value in sorted(_overrides(config).items()):
        again += ["--set", f"{key}={_toml_value(value)}"]
    resume = ["mgi", "resume", run]
    return {"resume": shlex.join(resume), "retry": shlex.join([*resume, "--retry"]), "again": shlex.join(again)}


def next_step(stage: str, reason: str) -> tuple[str, str]:
    """What to do about a pair in quarantine, in words, and which of the run's commands then takes it up again."""
    if "process died" in reason:
        return "Give it more memory or fewer --workers, then try again:", "retry"
    if stage in (WARP, TRANSLATE):  # where pictures are read; one that was replaced is noticed
        return "Repair or replace the picture under its name, then:", "resume"
    return "Its numbers are in tables/hypotheses.csv. To try again:", "retry"


def _overrides(config: RunConfig) -> dict[str, Any]:
    """Keys in which a configuration differs from its profile; none if the profile is not there."""
    try:
        profile = _flat(load_config(config.profile, method=config.method).model_dump(mode="json"))
        profile["task"] = config.task
    except (ConfigError, OSError):
        return {}
    return {key: value for key, value in _flat(config.model_dump(mode="json")).items() if profile.get(key) != value}


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def toml_of(config: RunConfig) -> str:
    """The whole configuration as a profile file that `--profile` accepts."""
    data = config.model_dump(mode="json")
    lines = _toml_lines(data)
    for section, values in data.items():
        if isinstance(values, dict):
            lines += ["", f"[{section}]", *_toml_lines(values)]
    return "\n".join(lines) + "\n"


def _toml_lines(data: Mapping[str, Any]) -> list[str]:
    # TOML has no null: a key that is None by default is left out, and is None again when it is read.
    flat = {key: value for key, value in data.items() if value is not None and not isinstance(value, dict)}
    return [f"{key} = {_toml_value(value)}" for key, value in flat.items()]


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # JSON's escapes are a part of TOML's
    return repr(value)
