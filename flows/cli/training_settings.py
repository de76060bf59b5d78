"""Settings of trainings: what --resume need not be told again, and what cannot be used, as one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    pass


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
