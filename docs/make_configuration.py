"""Write docs/configuration.md from the docstrings of mgi/config/: `python docs/make_configuration.py [--check]`."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from made_page import write_or_check
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flows.cli.environment import ONLY_LONG
from mgi.config import RunConfig
from mgi.systems.base import SystemConfig
from mgi.systems.registry import OURS as SYSTEMS
from mgi.systems.registry import system_of
from mgi.training.config import TrainingConfig
from mgi.training.encoders import EncoderConfig

PAGE = Path(__file__).with_name("configuration.md")

HEAD = """\
# Configuration

<!-- Written by `python docs/make_configuration.py` from mgi/config/; edit the docstrings there. -->

A run is described by one file with the keys below; a *profile* is such a file that ships with the package. Start from a
profile and change what you need:

```sh
mgi translate SOURCES EXEMPLARS --out RUN --profile embedded --set inversion.steps=300
mgi translate SOURCES EXEMPLARS --out RUN --profile mine.toml
MGI_INVERSION__STEPS=300 mgi translate SOURCES EXEMPLARS --out RUN
```

`--set` wins over the environment, the environment over the profile, the profile over the defaults below. In the
environment a key is written in capitals after `MGI_`, with two underscores for every dot. An unknown key or a value
out of range stops the command before anything is computed. The digest of all keys is part of the run: `mgi resume`
continues it only with the same configuration.

Files and folders (`generator`, `selection.domain`, `inversion.degradation = "mask:FILE"`) may be named by absolute or
relative paths and by `~`. Relative paths start at the folder of the profile that names them; in `--set` and in the
environment they start at the folder where the command runs. They are resolved once: `run.json` holds absolute paths,
which workers in other folders can find, and the hash of each file's content. A missing file stops the command, also
with `--dry-run`. A file that was replaced under its name is refused by `translate` and `resume`. A moved file has
another path, which makes it another configuration.

Settings that change no pixel are arguments of the command, not configuration: worker counts, progress bars and folders.

## Options from the environment

Every option of every verb has a variable: `MGI_<VERB>_<OPTION>`, such as `MGI_TRANSLATE_LIMIT`, `MGI_RESUME_RETRY` or
`MGI_TRAIN_GENERATOR_STEPS`. `MGI_<OPTION>`, such as `MGI_WORKERS`, `MGI_METHOD` or `MGI_SEED`, sets an option for every
verb that has it. If both are set, the longer name wins.

- Switches (such as `--dry-run` and `--json`), {long}
  have only the longer name: the shorter one would mean something else to each verb, or outlast the command that it was
  meant for. `MGI_WARP` is the section `warp` as JSON; `MGI_WARP__METHOD` is the key that `--warp` sets. Arguments
  without dashes and `--help` have no variable.
- A switch is on at `1` and off at `0`. Values of options that may be repeated are separated by semicolons:
  `MGI_TRANSLATE_SET='inversion.steps=300; generator=my.pt'`.
- The command line wins over the environment, even if two options say the same thing: `--set inversion.method=mgi`
  over `MGI_METHOD`, `--workers` over `MGI_SCHEDULER`. An option's variable wins over a key's.
- An empty variable counts as unset. A bad value ends the command with exit code 2 and one line that names the variable.

Variables that belong to no option: `MGI_WEIGHTS_DIR`, `MGI_WEIGHTS_MIRROR` and `MGI_OFFLINE`
([weights.md](weights.md)), `MGI_PREFECT` (whether to report to Prefect: `auto`, `always` or `never`),
`MGI_REMOTE_CACHE` (folder of the copies of remote runs), `MGI_REMOTE_SECONDS` (60: shortest time between two uploads of
one), `MGI_REMOTE_PATIENCE` (60: seconds for which a failing request is repeated), `MGI_REMOTE_LEASE` (120: seconds for
which a remote run stays taken after its command was last heard of), `MGI_RUNS_URL` (FOLDER=URL: where a browser finds
a folder of runs) and `MGI_HOME` (where relative paths of deployments begin), both for Prefect
([prefect.md](prefect.md)), and `MGI_DEBUG=1`, which shows the traceback of an error.
""".replace("{long}", ", ".join(f"`{flag}`" for flag in ONLY_LONG))

TRAINING = """\
## `mgi train generator`

Training has its own settings, given by options or by `--set KEY=VALUE`; they are kept in the model's folder, and
`--resume` continues only with the same ones. Measurements: [training.md](training.md).
"""
ENCODERS = """\
## `mgi train encoder`

In the same way; a key without a default is given by an option. Measurements: [encoders.md](encoders.md).
"""
TRANSLATORS = """\
## `mgi train translator`

Settings of all systems; below, those that each has beside them, and those whose default differs. Term by term:
[translators.md](translators.md).
"""


def page() -> str:
    """The whole page."""
    sections = [
        (name, field.annotation)
        for name, field in RunConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    ]
    parts = [HEAD, f"## The run\n\n{_text(RunConfig.__doc__)}\n\n{_table(RunConfig, '')}"]
    for name, model in sections:
        parts.append(f"## `[{name}]`\n\n{_text(model.__doc__)}\n\n{_table(model, f'{name}.')}")
    parts.append(f"{TRAINING}\n{_table(TrainingConfig, '')}")
    parts.append(f"{ENCODERS}\n{_table(EncoderConfig, '')}")
    parts.append(f"{TRANSLATORS}\n{_table(SystemConfig, '')}")
    for name in SYSTEMS:
        config = system_of(name).config_type
        parts.append(f"### {name}\n\n{_text(config.__doc__)}\n\n{_table(config, '', without=_shared(config))}")
    return "\n".join(parts)


def _shared(config: type[SystemConfig]) -> set[str]:
    """Keys that a system has as all have them."""
    common = SystemConfig.model_fields
    return {
        name
        for name, field in config.model_fields.items()
        if name in common and (field.default, field.description) == (common[name].default, common[name].description)
    }


def _table(model: type[BaseModel], prefix: str, without: Collection[str] = ()) -> str:
    if not model.model_fields:
        return f"Any key: `{prefix}strength = 0.5`, say.\n"
    lines = ["| key | values | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            continue
        if name in without:
            continue
        values = _values(field.annotation) + _bounds(field)
        default = "" if field.is_required() else f"`{_toml(field.default)}`"
        cells = (f"`{prefix}{name}`", values, default, _text(field.description) or _spoken(name))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _values(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{_toml(argument)}`" for argument in arguments)
    if origin is tuple:
        return f"list of {_values(arguments[0])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_values(argument) for argument in arguments)
    if annotation is type(None):
        return "nothing"
    names = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(field: FieldInfo) -> str:
    lower = next((f"at least {_toml(m.ge)}" for m in field.metadata if isinstance(m, Ge)), "")
    lower = lower or next((f"above {_toml(m.gt)}" for m in field.metadata if isinstance(m, Gt)), "")
    upper = next((f"at most {_toml(m.le)}" for m in field.metadata if isinstance(m, Le)), "")
    upper = upper or next((f"below {_toml(m.lt)}" for m in field.metadata if isinstance(m, Lt)), "")
    bounds = ", ".join(bound for bound in (lower, upper) if bound)
    return f", {bounds}" if bounds else ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(docstring: str | None) -> str:
    return " ".join((docstring or "").split())


def _spoken(name: str) -> str:
    return name.replace("_", " ").capitalize() + "."


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(), Path(__file__).name, sys.argv[1:]))
