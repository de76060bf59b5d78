"""What pydantic refused, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from reprlib import Repr

from pydantic import BaseModel, ValidationError

from mgi.near import near

_short = Repr()
_short.maxstring = _short.maxother = 80
_short.maxlong = 40


def validation_line(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """What pydantic refused, in one line; of unknown keys of a model also which one may be meant."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "configuration"
    if first["type"] == "extra_forbidden":
        meant = near(field, _keys(model)) if model is not None else ""
        return f"unknown key {field}{meant}; see `mgi profiles` or docs/configuration.md for all keys"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "value_error":  # our own words, which say what was found
        said = f"{first['msg'].removeprefix('Value error, ')}{more}"
        return f"{field}: {said}" if first["loc"] else said
    meant = ""
    if first["type"] == "literal_error":
        meant = near(first["input"], re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    return f"{field}: {first['msg']}, found {_short.repr(first['input'])}{meant}{more}"


def _keys(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """All keys of a model, those of its sections with dots."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _keys(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}"
