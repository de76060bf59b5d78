"""What all sections of the configuration share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

LARGEST = 2**31 - 1
"""No whole number in a configuration means anything beyond this."""


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line and says what to change."""


class Section(BaseModel):
    """A frozen part of the configuration: unknown keys are refused, and the text under a field describes it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _usable(cls, data: Any) -> Any:
        for key, value in _leaves(data):
            if isinstance(value, str) and "\0" in value:
                raise ValueError(f"{key}: no text may contain a null character")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{key}: expected a finite number, found {value}")
            if isinstance(value, int) and abs(value) > LARGEST:
                raise ValueError(f"{key}: expected a whole number of at most {LARGEST} in size")
        return data


def _leaves(data: Any) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in nested lists and dicts; no recursion, so that no depth is too much."""
    left = [("", data)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{key}.{name}" if key else str(name), inner) for name, inner in value.items()]
        elif isinstance(value, (list, tuple)):
            left += [(key, inner) for inner in value]
        else:
            yield key, value
