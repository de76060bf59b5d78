"""Shell completion: bash, asked as bash asks, gets names that exist, without waiting for PyTorch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from mgi.metrics.registry import REGISTRY as METRICS
from mgi.profiles import profile_names
from mgi.translators.registry import REGISTRY as METHODS
from tasks.suites.suite import load_suite, shipped

pytestmark = pytest.mark.usefixtures("plain")


def offered(line: str) -> list[str]:
    """What follows TAB at the end of a line."""
    words = line.split(" ")
    asked = {"_MGI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    result: Result = CliRunner().invoke(app, [], prog_name="mgi", env=asked)
    assert result.exit_code == 0, result.output
    return result.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mgi translate a b --profile ", set(profile_names())),
        ("mgi invert a --method ", set(METHODS.rows)),
        ("mgi translate a b --pairing ", {"zip", "product", "random"}),
        ("mgi resume r --metrics ", {"standard", "none", *METRICS.rows}),
        ("mgi resume r --metrics l2,lp", {"l2,lpips"}),
        ("mgi select r --rule si", {"sifid"}),
        ("mgi evaluate ", set(shipped())),
        ("mgi evaluate faces-embedded --methods ", {row.name for row in load_suite("faces-embedded").methods}),
        ("mgi evaluate no-such-suite --methods ", set()),
        ("mgi sample kaokore-6", {"kaokore-64"}),
        ("mgi weights fetch vgg16-i", {"vgg16-imagenet"}),
        ("mgi tr", {"translate", "train"}),
        ("mgi status --qu", {"--quiet"}),
        ("mgi status ", set()),  # then the shell offers files
    ],
)
def test_names_that_exist_are_offered(line: str, expected: set[str]) -> None:
    assert set(offered(line)) == expected


def test_rows_of_an_evaluation_are_offered(tmp_path: Path) -> None:
    suite = load_suite("faces-embedded")
    (tmp_path / "evaluation.json").write_text(json.dumps(suite.model_dump(mode="json")), encoding="utf-8")
    first = suite.methods[0].name
    found = offered(f"mgi evaluate {tmp_path} --methods {first},")
    assert found == [f"{first},{row.name}" for row in suite.methods[1:]]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_itself_completes(tmp_path: Path) -> None:
    script = tmp_path / "mgi"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flows.cli "$@"\n')
    script.chmod(0o755)
    code = """
    eval "$(_MGI_COMPLETE=source_bash mgi)"
    COMP_WORDS=(mgi translate a b --profile qu); COMP_CWORD=5
    $(complete -p mgi | sed 's/.*-F \\([^ ]*\\) .*/\\1/') mgi
    echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "quick", done.stderr


def test_completions_do_not_wait_for_libraries() -> None:
    code = """
import sys
from types import SimpleNamespace
from flows.cli import completion
for name in ("profiles", "methods", "metrics", "rules", "pairings", "suites", "weights", "generators"):
    assert getattr(completion, name)(""), name
assert completion.rows(SimpleNamespace(params={}, args=["faces-embedded"]), "")
print(sorted({"torch", "pandas", "zarr", "prefect", "dask", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
