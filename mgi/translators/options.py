"""The section `options`: settings that a method knows by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mgi.config import ConfigError, RunConfig


def known_options(config: RunConfig, method: str, names: Iterable[str]) -> dict[str, Any]:
    """The options that the user set.

    Raises:
        ConfigError: one that the method does not know; one line that lists those it does.
    """
    given, known = config.options.model_dump(), tuple(names)
    for name in given:
        if name not in known:
            raise ConfigError(f"options.{name}: {method} knows {', '.join(known) or 'no options'}; remove it")
    return given
