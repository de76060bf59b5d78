"""Settings of trainings that cannot be used, as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mgi.config import ConfigError, validation_line
from mgi.near import near

if TYPE_CHECKING:
    from pydantic import BaseModel


@contextmanager
def settings_of(model: type[BaseModel]) -> Iterator[None]:
    """Making a model's settings inside: what is wrong with them is a ConfigError, and unknown ones list the known."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            meant = near(field, model.model_fields)
            raise ConfigError(f"unknown training setting {field}{meant}; expected one of {known}") from None
        raise ConfigError(validation_line(error)) from None
