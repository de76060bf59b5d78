"""What the user asks for, as typed; nothing is read or checked yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from storage.folders import InputError

Task = Literal["translate", "invert"]
SNAPSHOTS = 24
"""Latents that a video shows, unless settings say otherwise."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of `mgi translate` or `mgi invert` that decide the result, or what is added to one."""

    task: Task
    sources: str
    """Folder of the sources, or of the pictures to invert."""
    exemplars: str = ""
    """Folder of the exemplars; inverting needs none."""
    profile: str = "embedded"
    """Name of a shipped profile, or path of a .toml file."""
    pairing: str = "zip"
    """zip, product, random, or path of a .csv file."""
    limit: int | None = None
    """At most this many pairs."""
    seed: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Configuration keys that override profile and method, such as {"inversion.steps": 40}."""
    method: str | None = None
    """One of `mgi.config.METHODS`; the profile's if not given."""
    extend: bool = False
    """Add pairs that the folders give and a run that is there lacks."""


def require_apart(run: str, *folders: str) -> None:
    """Check that a run's folder neither is a folder of its images nor holds one.

    The other way round is right: a run below the sources is left out when they are listed.

    Raises:
        InputError: results would become sources of the next command, or hide them.
    """
    place = Path(run).resolve()
    for folder in filter(None, folders):
        if Path(folder).resolve().is_relative_to(place):
            raise InputError(f"{folder} is inside the run's folder {run}; choose a folder for the run outside of it")
