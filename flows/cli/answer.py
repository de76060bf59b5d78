"""What verbs print, and what `--quiet` and `--json` make of it: decided here, once for all verbs."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
"""Answers: what the user asked for. Dropped by --json, whose object says the same."""
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and remarks. Dropped by --quiet."""
errors = Console(stderr=True, highlight=False, soft_wrap=True)
"""Why a command ends with another code than 0. Never dropped."""

QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress and no remarks: only errors, and of what is made only its path."),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="One JSON object on stdout, all else on stderr; docs/scripts.md names its fields."),
]


@dataclass(frozen=True)
class Answer:
    """How a verb ended; one that is annotated to return this has `--json`.

    Args:
        fields: what `--json` prints, as one object; docs/scripts.md names the fields.
        code: exit code.
    """

    fields: Mapping[str, Any]
    code: int = 0


def with_switches(verb: Callable[..., Any]) -> inspect.Signature:
    """The signature of a verb with `--quiet`, and with `--json` if it returns an `Answer`."""
    own = inspect.signature(verb, eval_str=True)
    switches: dict[str, Any] = {"quiet": QuietOption}
    if own.return_annotation is Answer:
        switches["as_json"] = JsonOption
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
        for name, option in switches.items()
        if name not in own.parameters
    ]
    return own.replace(parameters=[*own.parameters.values(), *added])


@contextmanager
def heeding(quiet: bool, as_json: bool) -> Iterator[None]:
    """Print inside only what these switches leave."""
    before = out.quiet, err.quiet
    out.quiet, err.quiet = as_json, quiet
    try:
        yield
    finally:
        out.quiet, err.quiet = before


def say(text: str) -> None:
    """A remark for the user, beside the answer."""
    err.print(text, markup=False)


def complain(text: str) -> None:
    """A line about what went wrong."""
    errors.print(text, markup=False)


def made(path: str | Path | None, *lines: str) -> None:
    """Say what was made in some lines, or with --quiet by its path alone, for scripts."""
    for line in lines if not err.quiet else [str(path)] if path else []:
        out.print(line, markup=False)


def print_json(fields: Mapping[str, Any]) -> None:
    """Print an object that every JSON parser reads: numbers that are none become null."""
    typer.echo(json.dumps(_plain(fields), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and callable(value.item):  # numpy's and torch's scalars
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
