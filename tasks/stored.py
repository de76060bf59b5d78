"""The configuration of a run, as any version of this package wrote it.

A run outlives the version that began it: fields that the configuration has gained since then take their defaults, and
the digest that the run was given stays its name, even when the run grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mgi.config import RunConfig, validation_line
from storage.run_changes import grown
from storage.run_header import NoRun


def stored_config(header: Mapping[str, Any], run: str, count: int | None = None) -> RunConfig:
    """The configuration that a run is computed with: as it began, plus what its changes set.

    Args:
        header: the run's header.
        run: its folder, for messages.
        count: only the first `count` changes (0: as it began); None for all.

    Raises:
        NoRun: a newer version wrote it, with fields that this one does not know, or it is damaged; one line.
    """
    try:
        return RunConfig.model_validate(grown(header, count)["config"])
    except ValidationError as error:
        unknown = [".".join(map(str, e["loc"])) for e in error.errors() if e["type"] == "extra_forbidden"]
        if not unknown:
            raise NoRun(f"{run} holds a configuration that cannot be used ({validation_line(error)})") from None
        began = (header.get("versions") or {}).get("mgi", "a newer version")
        grew = [change["mgi"] for change in header["changes"] if set(unknown) & change["set"].keys()]
        wrote, verb = (grew[-1], "grown") if grew else (began, "begun")
        raise NoRun(
            f"{run} was {verb} by mgi {wrote}, whose {', '.join(unknown)} this version does not know; continue it with "
            f"mgi {wrote}"
        ) from None


def stored_configs(header: Mapping[str, Any], run: str) -> list[RunConfig]:
    """The configurations that a run has had: as it began, then after each change.

    Raises:
        NoRun: see `stored_config`.
    """
    return [stored_config(header, run, count) for count in range(len(header["changes"]) + 1)]
