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


class Asked:
    """What a training command asks for: what it says itself, then what its run was asked for before, then defaults.

    Args:
        context: of the command.
        model: folder of the run.
        resume: whether the run there is continued; else there is nothing before.

    Raises:
        storage.training_store.TrainingConflict: there is no run to continue, or it is damaged.
    """

    def __init__(self, context: typer.Context, model: Path, resume: bool) -> None:
        from storage.training_store import TrainingStore

        sources = {name: context.get_parameter_source(name) for name in context.params}
        self._said = {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}
        self._params: dict[str, Any] = context.params
        self._before: dict[str, Any] = TrainingStore(model).header() if resume else {}

    def settings(self, *names: str) -> dict[str, Any]:
        """The run's settings so far, under those of the named parameters that count now."""
        known = self._before.get("config", {})
        return {**known, **{name: self._params[name] for name in names if name in self._said or not known}}

    def value(self, name: str) -> Any:
        """A parameter that is no setting, such as `steps`."""
        return self._params[name] if name in self._said else self._before.get(name, self._params[name])

    def folder(self, name: str, given: Path | None) -> Path | None:
        """A folder of pictures: the one that is given now, else that of before."""
        before = self._before.get(name)
        return given or (Path(before) if before else None)


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
