"""Checks of what `mgi train descriptor` and `mgi train critic` are asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mgi.config import ConfigError
from mgi.near import near


def check_out(out: Path) -> None:
    """Raise ConfigError unless a network can be written there."""
    if out.suffix != ".safetensors":
        raise ConfigError(f"--out: expected a file that ends with .safetensors, found {out}")
    if not out.parent.is_dir():
        raise ConfigError(f"--out: there is no folder {out.parent}; make it first")


def check_settings(settings: Mapping[str, Any], known: Mapping[str, Any], may_be_zero: Collection[str]) -> None:
    """Raise ConfigError for a setting that does not exist, of another kind than its default, or out of range.

    Args:
        settings: what the user said.
        known: {setting: default}, whole numbers and numbers.
        may_be_zero: settings that need not be above 0.
    """
    for key, value in settings.items():
        if key not in known:
            raise ConfigError(f"unknown setting {key}{near(key, known)}; expected one of {', '.join(known)}")
        kind = type(known[key])
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ConfigError(f"{key}: expected {'a number' if kind is float else 'a whole number'}, found {value!r}")
        if value < 0 or (value == 0 and key not in may_be_zero):
            raise ConfigError(f"{key}: expected more than 0, found {value}")
