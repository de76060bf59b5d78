"""The Dockerfile, as far as it can be checked without Docker: what it copies is enough, what it runs can be parsed."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from places import ROOT

from build_backend.staging import stage

parser = pytest.importorskip("dockerfile_parse")


class Instruction(NamedTuple):
    """A line of the Dockerfile: its word and what follows."""

    word: str
    value: str


@pytest.fixture(scope="module")
def instructions(tmp_path_factory: pytest.TempPathFactory) -> list[Instruction]:
    file = tmp_path_factory.mktemp("docker") / "Dockerfile"  # the parser wants to own its folder
    shutil.copy(ROOT / "Dockerfile", file)
    structure = parser.DockerfileParser(str(file)).structure
    return [Instruction(one["instruction"], one["value"]) for one in structure if one["instruction"] != "COMMENT"]


def values(instructions: list[Instruction], word: str) -> list[str]:
    return [one.value for one in instructions if one.word == word]


def copied(instructions: list[Instruction]) -> set[str]:
    """Names of the repository that go into the image."""
    found = [value.split()[:-1] for value in values(instructions, "COPY") if not value.startswith("--from=")]
    return {name for names in found for name in names}


def test_what_it_copies_is_there_and_let_through(instructions: list[Instruction]) -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied(instructions) == let_through
    assert all((ROOT / name).exists() for name in let_through)


def test_what_it_copies_is_enough_for_a_wheel(instructions: list[Instruction], tmp_path: Path) -> None:
    context, target = tmp_path / "context", tmp_path / "target"
    context.mkdir()
    target.mkdir()
    for name in copied(instructions):
        (context / name).symlink_to(ROOT / name)
    stage(context, target)
    assert (target / "mgi_pipeline" / "prefect.yaml").is_file() and (target / "mgi" / "zoo").is_dir()
    needed = tomllib.loads((target / "pyproject.toml").read_text())["project"]["readme"]
    assert (target / needed).is_file()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_what_it_runs_can_be_parsed(instructions: list[Instruction], shell: str) -> None:
    commands = values(instructions, "RUN")
    assert len(commands) >= 5
    for command in commands:
        parsed = subprocess.run([shell, "-n", "-c", command], capture_output=True, text=True)
        assert parsed.returncode == 0, f"{command}\n{parsed.stderr}"


@pytest.mark.parametrize(
    ("device", "extras", "expected"),
    [
        ("cpu", "metrics,s3", "mgi-1.whl[metrics,s3]"),
        ("gpu", "metrics,s3", "mgi-1.whl[metrics,s3,gpu]"),
        ("cpu", "", "mgi-1.whl"),
        ("gpu", "", "mgi-1.whl[gpu]"),
    ],
)
def test_arguments_become_extras(
    instructions: list[Instruction], tmp_path: Path, device: str, extras: str, expected: str
) -> None:
    (install,) = [command for command in values(instructions, "RUN") if "pip install" in command]
    (tmp_path / "mgi-1.whl").touch()
    said = install.replace("/wheels", str(tmp_path)).replace("python -m pip install --no-cache-dir", "printf '%s\\n'")
    variables = {"DEVICE": device, "EXTRAS": extras, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", said], env=variables, capture_output=True, text=True)
    assert done.stdout.strip() == f"{tmp_path}/{expected}", done.stderr


def test_an_unknown_device_stops_the_build(instructions: list[Instruction]) -> None:
    (check,) = [command for command in values(instructions, "RUN") if command.startswith("case")]
    done = subprocess.run(["sh", "-c", check], env={"DEVICE": "tpu"}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "DEVICE=tpu: expected cpu or gpu\n")


def test_the_command_is_mgi_and_not_run_by_root(instructions: list[Instruction]) -> None:
    assert json.loads(values(instructions, "ENTRYPOINT")[-1]) == ["mgi"]
    assert values(instructions, "USER") == ["1000"] and "MGI_WEIGHTS_DIR=/weights" in values(instructions, "ENV")[-1]
    arguments = {value.partition("=")[0] for value in values(instructions, "ARG")}
    pages = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in pages for name in arguments), "every argument is on the page"
