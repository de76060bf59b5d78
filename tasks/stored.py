"""The configuration of a run as some version of this package wrote it.

A run outlives the version that began it: fields that the configuration has gained since then take their defaults, and
the digest that the run was given stays its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mgi.config import RunConfig, validation_line
from storage.run_header import NoRun


def stored_config(header: Mapping[str, Any], run: str) -> RunConfig:
    """The configuration in a run's header.

    Raises:
        NoRun: a newer version wrote it, with fields that this one does not know, or it is damaged; one line.
    """
    try:
        return RunConfig.model_validate(header["config"])
    except ValidationError as error:
        unknown = [".".join(map(str, e["loc"])) for e in error.errors() if e["type"] == "extra_forbidden"]
        if not unknown:
            raise NoRun(f"{run} holds a configuration that cannot be used ({validation_line(error)})") from None
        wrote = (header.get("versions") or {}).get("mgi", "a newer version")
        raise NoRun(
            f"{run} was begun by mgi {wrote}, whose {', '.join(unknown)} this version does not know; continue it with "
            f"mgi {wrote}"
        ) from None
