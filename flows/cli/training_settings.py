"""Settings of trainings: what --resume need not be told again, and what cannot be used, as one line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

# The options that every training in a folder of its own has.
Model = Annotated[Path, typer.Option("--out", metavar="MODEL", help="Folder of the training run.")]
Steps = Annotated[int, typer.Option(min=1, metavar="N", help="Optimisation steps in total.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the training run in MODEL.")]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="Seed for everything random.")]
Licence = Annotated[str, typer.Option(metavar="TEXT", help="Licence of the pictures, for its card.")]
Threads = Annotated[int | None, typer.Option(min=1, metavar="N", help="CPU threads.  [default: all]")]


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

    def run(self) -> dict[str, Any]:
        """What is asked of every training, as `tasks.training_steps.TrainingRun` takes it."""
        from tasks.workers.sizing import usable_cores

        said = {name: self.value(name) for name in ("steps", "evaluate_every", "licence")}
        return {"out": self._params["model"], **said, "threads": self.value("threads") or usable_cores()}

    def folder(self, name: str, given: Path | None) -> Path | None:
        """A folder of pictures: the one that is given now, else that of before."""
        before = self._before.get(name)
        return given or (Path(before) if before else None)
