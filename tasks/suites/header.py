"""What an evaluation was asked for, in its folder, so that its name alone continues it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mgi.config import ConfigError
from storage.atomic import write_text
from tasks.suites.suite import Suite

HEADER = "evaluation.json"
"""Its file."""
_RUNS = "runs"


def write_header(out: str, suite: Suite, runs: Mapping[str, str] | None = None) -> None:
    """Write it.

    Args:
        out: folder of the evaluation.
        suite: with whole paths.
        runs: {name: folder} of runs that were there before, in place of the suite's rows.
    """
    said = suite.model_dump(mode="json")
    if runs:
        said[_RUNS] = {name: str(Path(run).absolute()) for name, run in runs.items()}
    write_text(Path(out) / HEADER, json.dumps(said, indent=1, ensure_ascii=False))


def read_header(out: str) -> tuple[Suite, dict[str, str]]:
    """The suite that an evaluation was made of, and the runs if it was made of runs.

    Raises:
        ConfigError: there is none in that folder, or it cannot be read.
    """
    path = Path(out) / HEADER
    if not path.is_file():
        raise ConfigError(
            f"{out}: expected an evaluation, found no {HEADER}; make one with `mgi evaluate SUITE --out {out}`"
        )
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        runs = {str(name): str(run) for name, run in said.pop(_RUNS, {}).items()}
        return Suite.model_validate(said), runs
    except (ValueError, AttributeError):
        raise ConfigError(
            f"{path} cannot be read as a suite; `mgi evaluate SUITE --out {out}` writes it again and goes on"
        ) from None
