"""`mgi init`: a configuration file to edit, with a word on every key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import completion
from flows.cli.common import Answer, guarded, out, say
from mgi.config import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mgi.config import RunConfig

LEFT_OUT = ("profile", "task")
"""Keys that the file's name and the command decide."""
WIDTH = 110


@guarded
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="What is written.")] = Path("mgi.toml"),
    profile: Annotated[
        str,
        typer.Option(metavar="NAME|FILE.toml", autocompletion=completion.profiles, help="Where its values come from."),
    ] = "embedded",
) -> Answer:
    """Write every setting of a profile to FILE.toml, each with what it means, to be edited.

    `mgi translate SOURCES EXEMPLARS --out RUN --profile FILE.toml` uses it.
    """
    from mgi.profiles import load_config
    from storage.atomic import write_text

    if file.suffix != ".toml":
        raise ConfigError(f"{file}: expected a name that ends in .toml, which --profile asks for")
    if file.exists():
        raise ConfigError(f"{file} is there; edit it, name another, or remove it first")
    write_text(file, commented(load_config(profile), profile))
    out.print(file, markup=False)
    say(f"next: edit it, then `mgi translate SOURCES EXEMPLARS --out RUN --profile {file}`")
    return Answer({"file": file, "profile": profile})


def commented(config: RunConfig, origin: str) -> str:
    """TOML of a configuration with a comment above every key; `mgi.profiles.load_config` reads it back."""
    lines = [f"# Settings of mgi, from the profile {origin}. Lines that you leave out take the defaults.", ""]
    lines += _section(config, LEFT_OUT)
    return "\n".join(lines).rstrip() + "\n"


def _section(model: BaseModel, left_out: tuple[str, ...] = ()) -> Iterator[str]:
    """Plain keys first: TOML takes whatever follows a section for a part of it."""
    from pydantic import BaseModel

    fields = {name: field for name, field in type(model).model_fields.items() if name not in left_out}
    for name, field in fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            continue
        yield from (f"# {line}" for line in wrap(" ".join((field.description or "").split()), WIDTH - 2))
        plain = model.model_dump(mode="json")[name]
        yield f"# {name} is not set" if plain is None else f"{name} = {json.dumps(plain, ensure_ascii=False)}"
        yield ""
    for name in fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield f"[{name}]"
            yield from _section(value)
            yield from (f"{key} = {json.dumps(more)}" for key, more in (value.model_extra or {}).items())
            yield ""
