"""`mgi profiles`: the profiles that ship with the package."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.common import guarded, out


@guarded
def profiles(
    name: Annotated[str | None, typer.Argument(help="Show every key of this profile (or .toml file).")] = None,
) -> int:
    """List the profiles, or print one as `section.key = value` lines for --set."""
    from mgi.profiles import load_config, profile_names

    if name is None:
        for known in profile_names():
            config = load_config(known)
            count = len(config.inversion.all_hypotheses())
            work = f"{count} hypotheses x {config.inversion.steps} steps"
            out.print(f"{known:<18}{config.generator:<26}{work:<34}{config.warp.backbone}", markup=False)
        return 0
    data = load_config(name).model_dump(mode="json")
    for key, value in data.items():
        if isinstance(value, dict):
            for inner, leaf in value.items():
                typer.echo(f"{key}.{inner} = {_toml(leaf)}")
        else:
            typer.echo(f"{key} = {_toml(value)}")
    return 0


def _toml(value: object) -> str:
    import json

    return json.dumps(value)  # strings, numbers, booleans and flat lists look the same in TOML
