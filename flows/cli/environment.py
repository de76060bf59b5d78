"""Every option of every verb from the environment, by one rule: below the command line, above the defaults.

`MGI_<VERB>_<OPTION>` sets an option of one verb: `MGI_TRANSLATE_LIMIT`, `MGI_TRAIN_GENERATOR_STEPS`. `MGI_<OPTION>`
sets it for every verb that has it: `MGI_WORKERS`. The longer name wins; an empty variable counts as unset.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from flows.settings import configuration_variables
from mgi.addresses import shown

ONLY_LONG = ("--out", "--set", "--steps", "--count", "--warp", "--generator", "--export-to")
"""Like switches, these have no `MGI_<OPTION>`: it would mean something else to each verb, or outlast the one command
that it was meant for. `MGI_WARP` is the configuration's section `warp`, as JSON, and `MGI_GENERATOR` its
generator."""

SEPARATOR = ";"
"""Between the values of an option that may be repeated. Values of --set may contain spaces and commas."""

HELP = f"""\
Environment: MGI_<VERB>_<OPTION> sets an option of one verb, such as MGI_TRANSLATE_LIMIT or MGI_TRAIN_GENERATOR_STEPS;
MGI_<OPTION> sets it for every verb that has it, such as MGI_WORKERS. Switches (1 or 0), {", ".join(ONLY_LONG[:-1])} and
{ONLY_LONG[-1]} have the longer name only. Options that may be repeated take values separated by semicolons. A
configuration key is MGI_<SECTION>__<KEY>. The command line wins over the environment, the environment over the profile
and defaults; an empty variable counts as unset."""

KEYS = {
    "method": "inversion.method",
    "warp": "warp.method",
    "degrade": "inversion.degradation",
    "refine": "options.refine",
    "given": "inversion.observed",
}
"""Options that stand for a configuration key, which `--set` can also set."""

BELONG = {"name": "export_to", "format": "export_to", "quality": "export_to"}
"""Options that only say how another one is done. From the environment they wait for it: MGI_FORMAT, meant for
`mgi export`, must not stop every `mgi translate`."""

_acting: ContextVar[dict[str, list[str]]] = ContextVar("_acting")
"""Variables that act on this command, and the words that tie an error to them: a value, an option or a key."""


def variables(path: str, option: Any) -> list[str]:
    """The variables of an option; the first one set counts.

    Args:
        path: the verb as it is typed, such as `train generator`.
        option: a parameter of typer.
    """
    flag = max(option.opts, key=len)  # of -n and --count, the latter
    name = flag.removeprefix("--").replace("-", "_").upper()
    long = f"{_prefix(path)}{name}"
    return [long] if option.is_flag or flag in ONLY_LONG else [long, f"MGI_{name}"]


def options_of(command: Any) -> Iterator[Any]:
    """The options of a verb, without --help, which is not a setting."""
    return (option for option in command.params if option.param_type_name == "option" and option.name != "help")


UsageError = typer.BadParameter.__base__
"""The error of a mistyped command line; typer brings its own copy of click, or uses click's, by version."""


class Verbs(TyperGroup):
    """The command `mgi`: a mistyped command line becomes one line and exit code 2, like every other error."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the command line, call the verb and exit."""
        standalone_mode = kwargs.pop("standalone_mode", True)
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except UsageError as error:  # type: ignore[misc]
            if not standalone_mode:
                raise
            if type(error).__name__ == "NoArgsIsHelpError":  # its text is the help
                error.show()
                sys.exit(error.exit_code)
            message, where = " ".join(error.format_message().split()).rstrip("."), error.ctx
            see = " See" if message.endswith("?") else "; see"  # after "Did you mean 'translate'?"
            typer.echo(f"mgi: {message}{see} `{where.command_path if where else 'mgi'} --help`", err=True)
            sys.exit(2)
        if standalone_mode:
            sys.exit(code or 0)
        return code


class Verb(TyperCommand):
    """A command whose options can be set by environment variables."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line over what the environment sets; a bad variable gives one line and exit code 2."""
        path, options = _path(ctx), list(options_of(self))
        if options:
            short = any(len(variables(path, option)) > 1 for option in options)
            names = f"{_prefix(path)}<OPTION>{' or MGI_<OPTION>' if short else ''}"
            self.epilog = f"Options from the environment: {names}, see `mgi --help`."
        found: dict[str, str] = {}
        for option in options:
            name = next((name for name in variables(path, option) if os.environ.get(name)), None)
            if name is not None:
                found[option.name] = name
        _acting.set({})
        texts = {option: os.environ[found[option.name]] for option in options if option.name in found}
        ctx.default_map = {option.name: _parts(text) if option.multiple else text for option, text in texts.items()}
        try:
            rest = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = found.get(getattr(error.param, "name", None) or "")
            if name is None or _is_typed(ctx, error.param.name):  # type: ignore[union-attr]
                raise
            typer.echo(shown(f"mgi: {name}={os.environ[name]}: {error.message}"), err=True)
            raise typer.Exit(2) from None
        _let_the_command_line_win(ctx, found)
        _acting.set(_variables_that_act(ctx, found))
        return rest


def blame(line: str) -> str:
    """An error's line, with the variables whose values it mentions."""

    def spoken(text: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", line) is not None

    guilty = [name for name, texts in _acting.get({}).items() if any(map(spoken, texts))]
    return f"{line} (set by {', '.join(guilty)})" if guilty and "MGI_" not in line else line


def _prefix(path: str) -> str:
    return f"MGI_{path.replace(' ', '_').upper()}_"


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(SEPARATOR) if part.strip()]


def _path(ctx: Any) -> str:
    names = []
    while ctx.parent is not None:  # the last is `mgi` itself
        names.append(ctx.info_name)
        ctx = ctx.parent
    return " ".join(reversed(names))


def _is_typed(ctx: Any, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _let_the_command_line_win(ctx: Any, found: dict[str, str]) -> None:
    """What was typed wins over the environment where both say the same thing, or where one belongs to the other."""
    values = ctx.params
    for name, other in BELONG.items():
        if name in found and other in values and values[other] is None and not _is_typed(ctx, name):
            values[name] = None
    if values.get("workers") is not None and values.get("scheduler") is not None:
        if "scheduler" in found and _is_typed(ctx, "workers"):
            values["scheduler"] = None
        elif "workers" in found and not _is_typed(ctx, "workers"):
            values["workers"] = None
    assignments = values.get("assignments") or []
    set_is_typed = _is_typed(ctx, "assignments")
    for option in options_of(ctx.command):
        same = [text for text in assignments if text.partition("=")[0].strip() == KEYS.get(option.name)]
        if same and set_is_typed and not _is_typed(ctx, option.name):
            values[option.name] = option.default
        elif same and not set_is_typed and _is_typed(ctx, option.name):
            values["assignments"] = [text for text in values["assignments"] if text not in same]


def _variables_that_act(ctx: Any, found: dict[str, str]) -> dict[str, list[str]]:
    acting = {}
    for option, name in found.items():
        number = isinstance(ctx.params[option], (int, float))  # many errors have the same text for another reason
        if not _is_typed(ctx, option):
            acting[name] = [option] if number else _parts(os.environ[name])
    above = {key for option, key in KEYS.items() if ctx.params.get(option)}
    above |= {text.partition("=")[0].strip() for text in ctx.params.get("assignments") or []}
    return acting | {name: [key] for name, key in configuration_variables().items() if key not in above}
