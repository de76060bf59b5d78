"""What pydantic refused, in one line."""

from __future__ import annotations

from reprlib import Repr

from pydantic import ValidationError

_short = Repr()
_short.maxstring = _short.maxother = 80
_short.maxlong = 40


def validation_line(error: ValidationError) -> str:
    """What pydantic refused, in one line."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "configuration"
    if first["type"] == "extra_forbidden":
        return f"unknown key {field}; see `mgi profiles` or docs/configuration.md for all keys"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "value_error":  # our own words, which say what was found
        said = f"{first['msg'].removeprefix('Value error, ')}{more}"
        return f"{field}: {said}" if first["loc"] else said
    return f"{field}: {first['msg']}, found {_short.repr(first['input'])}{more}"
