"""`mgi profiles`: the profiles that ship with the package."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from flows.cli import completion
from flows.cli.common import Answer, guarded, out


@guarded
def profiles(
    name: Annotated[
        str | None,
        typer.Argument(autocompletion=completion.profiles, help="Show every key of this profile (or .toml file)."),
    ] = None,
) -> Answer:
    """List the profiles, or print one as `section.key = value` lines for --set."""
    from mgi.profiles import load_config, profile_names

    if name is None:
        rows = [_row(known) for known in profile_names()]
        for row in rows:
            work = f"{row['hypotheses']} hypotheses x {row['steps']} steps"
            out.print(f"{row['name']:<18}{row['generator']:<26}{work:<34}{row['backbone']}", markup=False)
        return Answer({"profiles": rows})
    settings = load_config(name).model_dump(mode="json")
    for key, value in settings.items():
        leaves = {f"{key}.{inner}": leaf for inner, leaf in value.items()} if isinstance(value, dict) else {key: value}
        for path, leaf in leaves.items():  # strings, numbers, booleans and flat lists look the same in TOML
            out.print(f"{path} = {json.dumps(leaf)}", markup=False)
    return Answer({"profile": name, "settings": settings})


def _row(name: str) -> dict[str, Any]:
    from mgi.profiles import load_config

    config = load_config(name)
    return {
        "name": name,
        "generator": config.generator,
        "hypotheses": len(config.inversion.all_hypotheses()),
        "steps": config.inversion.steps,
        "backbone": config.warp.backbone,
    }
