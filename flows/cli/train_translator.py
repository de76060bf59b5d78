"""`mgi train translator`: a system of the field on folders of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import completion
from flows.cli.common import Answer, made, say
from flows.cli.training_bars import shown
from flows.cli.training_settings import Asked, Licence, Model, Resume, Seed, Steps, Threads
from flows.settings import parse_assignments
from flows.training import settings_of
from mgi.config import ConfigError

if TYPE_CHECKING:
    from mgi.systems.base import System, SystemConfig


def translator(
    context: typer.Context,
    model: Model,
    system: Annotated[
        str | None,
        typer.Argument(
            metavar="SYSTEM",
            autocompletion=completion.systems,
            help="Such as pix2pix or cyclegan; --resume takes that of before.",
        ),
    ] = None,
    a: Annotated[
        Path | None,
        typer.Argument(metavar="A", help="Folder to translate from; alone, the folder of everything there is."),
    ] = None,
    b: Annotated[Path | None, typer.Argument(metavar="B", help="Folder of what results shall look like.")] = None,
    condition: Annotated[
        str,
        typer.Option(
            "--condition",
            metavar="NAME",
            autocompletion=completion.conditions,
            help="Make what is translated from the pictures of one folder, such as edges, grey or segments.",
        ),
    ] = "",
    domains: Annotated[
        str,
        typer.Option("--domains", metavar="FILE.csv:COLUMN", help="Domain of every picture.  [default: its subfolder]"),
    ] = "",
    size: Annotated[int, typer.Option(metavar="64|128|256", help="Rows and columns of the pictures.")] = 64,
    steps: Steps = 20_000,
    resume: Resume = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting of docs/configuration.md; may be repeated."),
    ] = None,
    seed: Seed = 0,
    evaluate_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps between evaluations: scores and a grid of pictures.")
    ] = 1000,
    licence: Licence = "not stated",
    threads: Threads = None,
) -> Answer:
    """Train SYSTEM to translate from A to B; MODEL/translator.safetensors is then a method of its name.

    pix2pix and its like need pairs (two folders with the same names, or one folder and --condition), CycleGAN and its
    like two folders that need not match, SRGAN one folder, StarGAN v2 one with a subfolder for each domain. It may be
    killed at any time: `--resume` continues from the last checkpoint, at most two minutes old.
    """
    asked = Asked(context, model, resume)
    known = asked.settings("system", "size", "seed", "condition")
    name = system or known.get("system")
    if name is None:
        raise ConfigError("SYSTEM is missing: expected a name such as pix2pix or cyclegan")
    kind, config = settings(name, known, assignments or [])
    folder = asked.folder("a", a)
    if folder is None:
        raise ConfigError("A is missing: expected the folder to learn from")
    # Not at the top: PyTorch takes seconds, which `mgi --help` should not.
    from tasks.train_translator import train_translator
    from tasks.translator_material import TranslatorRequest

    request = TranslatorRequest(
        system=kind,
        a=folder,
        b=asked.folder("b", b),
        condition=str(known.get("condition", "")),
        domains=domains or str(known.get("domains_by", "")),
        config=config,
        **asked.run(),
    )
    with shown() as watcher:
        result = train_translator(request, resume, watcher)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in result.scores.items())
    made(result.model, f"{result.steps} steps; best at step {result.best_step}: {scores}", str(result.model))
    say(f"`mgi translate A EXEMPLARS --out RUN --method {kind.name} --set options.model={result.model}` uses it")
    return Answer(vars(result))


def settings(name: str, known: dict[str, Any], assignments: list[str]) -> tuple[type[System], SystemConfig]:
    """The system and its configuration; `known`: what the command or the run that is continued says.

    Raises:
        ConfigError: no such system, or an unknown or impossible setting; one line.
    """
    from mgi.profiles import parse_value
    from mgi.systems.registry import system_of

    kind = system_of(name)
    values = {key: value for key, value in known.items() if key not in ("system", "condition", "domains_by")}
    values |= {key: parse_value(text) for key, text in parse_assignments(assignments).items()}
    with settings_of(kind.config_type):
        return kind, kind.config_type.model_validate(values)
