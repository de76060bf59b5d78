"""What quick commands import: their answer must not wait for libraries that they do not use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import make_inputs
from typer.testing import CliRunner

from flows.cli import app

CODE = """
import json, sys
from flows.cli import app
try:
    app(prog_name="mgi")
except SystemExit as stop:
    assert stop.code in (None, 0, 1), stop.code
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported_by(*arguments: str) -> set[str]:
    """Top-level names of the modules that a command has imported when it ends."""
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "MGI_PREFECT": ""})
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("verb", [(), ("translate",), ("edit",), ("train", "generator"), ("weights", "fetch")])
def test_help_imports_nothing_that_computes(verb: tuple[str, ...]) -> None:
    heavy = {
        "torch",
        "torchvision",
        "pandas",
        "pyarrow",
        "zarr",
        "prefect",
        "dask",
        "PIL",
        "numpy",
        "scipy",
        "requests",
    }
    assert not heavy & imported_by(*verb, "--help")


def test_status_reads_markers_without_libraries_of_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    inputs, run = make_inputs(tmp_path / "inputs", 1), str(tmp_path / "run")
    folders = [str(inputs / "sources"), str(inputs / "exemplars"), "--out", run]
    made = CliRunner().invoke(app, ["translate", *folders, "--profile", str(inputs / "stub.toml"), "--workers", "0"])
    assert made.exit_code == 0, made.output

    heavy = {"torch", "torchvision", "pandas", "zarr", "numcodecs", "prefect", "dask", "PIL", "scipy", "matplotlib"}
    assert not heavy & imported_by("status", run)


def test_the_doctor_imports_only_what_it_examines() -> None:
    assert not {"pandas", "zarr", "scipy", "prefect", "dask", "PIL", "torchvision"} & imported_by("doctor")


def test_importing_the_package_imports_next_to_nothing() -> None:
    code = "import sys; import mgi; print({n.partition('.')[0] for n in sys.modules} & {'torch', 'numpy', 'pydantic'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
