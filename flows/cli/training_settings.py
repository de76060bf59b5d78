"""Settings of trainings: what --resume need not be told again, and what cannot be used, as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mgi.config import ConfigError, validation_line
from mgi.near import near

if TYPE_CHECKING:
    from pydantic import BaseModel


def said(context: typer.Context) -> set[str]:
    """Parameters that the command line or the environment set, by their names in Python."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}


def of_before(model: Path, resume: bool) -> dict[str, Any]:
    """What the training run in MODEL was asked for, if it is to be continued; else nothing.

    Raises:
        storage.training_store.TrainingConflict: there is no run, or it is damaged.
    """
    from storage.training_store import TrainingStore

    return TrainingStore(model).header() if resume else {}


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
