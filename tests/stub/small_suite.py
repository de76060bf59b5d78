"""A small suite of the stub method, and the command in this process."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from typer.testing import CliRunner, Result

from flows.cli import app
from tasks.suites.frame import read_frame


def suite_file(folder: Path, *methods: str, metrics: str = '["l2"]', sets: str = '["swd"]') -> Path:
    """`small.toml` in the folder of `make_inputs`; each method is the text of a row."""
    rows = "".join(f"[[methods]]\n{text}\n" for text in methods or ('name = "mgi"',))
    text = f"""
name = "small"
summary = "Two pairs."
profile = "{folder / "stub.toml"}"
metrics = {metrics}
sets = {sets}
[data]
sources = "sources"
exemplars = "exemplars"
pairing = "zip"
{rows}"""
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mgi(*arguments: str | Path) -> Result:
    """The command's result; evaluations run in this process."""
    return CliRunner().invoke(app, [*map(str, arguments), *(("--workers", "0") if "evaluate" in arguments else ())])


def evaluated(out: Path) -> pd.DataFrame:
    """The tidy table of an evaluation."""
    return read_frame(out)
