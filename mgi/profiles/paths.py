"""Paths in a configuration: made absolute at once, since workers run in other folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mgi.config import DEGRADATIONS

GENERATOR = "generator"
"""The value of `selection.domain` that is not a folder."""
MASK = "mask:"
FILES = ("warp.descriptor_file", "selection.critic_file", "inversion.encoder_file")


def whole_paths(key: str, value: Any, folder: Path) -> Any:
    """A value of the configuration in which every path is absolute; values that hold no path pass unchanged.

    Args:
        key: its key, such as `generator` or `inversion.degradation`; "" for a whole configuration.
        value: text, or a section as a mapping.
        folder: the folder that relative paths start from: the profile's, or the one where the command was started.
    """
    if isinstance(value, dict):
        return {name: whole_paths(f"{key}.{name}" if key else name, inner, folder) for name, inner in value.items()}
    if not isinstance(value, str) or "\0" in value:  # the configuration refuses the latter, and says where it is
        return value
    if key == "generator":
        return whole_generator(value, folder)
    if key == "selection.domain" and value != GENERATOR:
        return os.path.realpath(_joined(value, folder))
    if key in FILES and value:
        return _whole_file(value, folder)
    if key == "inversion.degradation":
        return "+".join(_whole_step(step, folder) for step in DEGRADATIONS.split(value))
    return value


def whole_generator(name_or_path: str, folder: Path | None = None) -> str:
    """A zoo name as it is, anything else as an absolute path; relative ones start at `folder` (default: this one)."""
    from mgi.weights.identity import generator_names  # the code that downloads weights is slow to import

    return name_or_path if name_or_path in generator_names() else _whole_file(name_or_path, folder or Path.cwd())


def _whole_step(step: str, folder: Path) -> str:
    named = step.startswith(MASK) and step != MASK
    return MASK + _whole_file(step.removeprefix(MASK), folder) if named else step


def _joined(path: str, folder: Path) -> str:
    return os.path.join(folder, os.path.expanduser(path))  # noqa: PTH111, PTH118 - Path refuses an unknown ~user


def _whole_file(path: str, folder: Path) -> str:
    """Absolute, with links in its folder resolved; a link at the end stays: its suffix says how the file is read."""
    parent, name = os.path.split(_joined(path, folder))
    if name in ("", os.curdir, os.pardir):
        return os.path.realpath(_joined(path, folder))
    return os.path.join(os.path.realpath(parent), name)  # noqa: PTH118
