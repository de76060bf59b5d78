"""Every command that the documentation prints is run with the stub method, or at least read by the real command line.

A command that no rule below covers fails: a new page brings a rule for what it prints, or prints what exists.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import shutil
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from documented import Printed, commands, mentions, pages, parsed, simple, verb
from PIL import Image
from places import ROOT
from runs import PROFILE
from typer.testing import CliRunner

from flows.cli import app
from flows.settings import parse_assignments
from mgi.config import ConfigError
from mgi.metrics.registry import REGISTRY as METRICS
from mgi.profiles import load_config

pytestmark = pytest.mark.slow

RUN = {"translate", "invert", "resume", "status", "report", "verify", "select", "export", "clean", "methods", "metrics"}
RUN |= {"profiles", "init", "suites", "weights list", "doctor", "conditions"}
"""Verbs that are run, page by page and in their order, in a folder that has what the page speaks of. All others need
minutes, weights or people: their words are read, and tests of their own run them."""
ELSEWHERE = (
    "s3://",
    "tcp://",
    "...",
    "--method",
    "--video",
    ".png",
    ".webp",
    ".safetensors",
    "generator=",
    "lpips",
    "--keypoints",
    "$",
)
"""In a command of `RUN`: it needs a server, other networks than the stub, or stands for more than it says."""

USAGE = typer.BadParameter.__bases__[0]
"""Any mistake in the words of a command."""
FOLDERS = {"photos": 2, "paintings": 2, "more": 1, "faces": 1, "small": 1, "sources": 1, "exemplars": 1}
FOLDERS |= {"SOURCES": 1, "EXEMPLARS": 1, "FACES": 1, "IMAGES": 1, "my_images": 1}


@pytest.fixture
def reader(tmp_path: Path, stub: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder with pictures under every name that the pages use."""
    for folder, count in FOLDERS.items():
        (tmp_path / folder).mkdir()
        for number in range(count):
            shade = Image.new("RGB", (40, 40), (40 * number, 90, 160))
            shade.save(tmp_path / folder / f"{folder.lower()}-{number}.png")
    (tmp_path / "stub.toml").write_text(PROFILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MGI_PROFILE", "stub.toml")
    monkeypatch.setattr("flows.pipeline.count_workers", lambda workers: 0)
    monkeypatch.setattr("flows.session.count_workers", lambda workers: 0)
    return tmp_path


def invoked(words: list[str]) -> None:
    profiles = [number for number, word in enumerate(words, 1) if word == "--profile"]
    if words[0] in {"translate", "invert"}:
        shutil.rmtree("RUN", ignore_errors=True)  # the word stands for another run each time
    for number in profiles:
        own = Path(words[number]).suffix == ".toml"
        words[number] = words[number] if own else "stub.toml"
        if own and not Path(words[number]).exists():
            Path(words[number]).write_text(PROFILE, encoding="utf-8")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, f"mgi {' '.join(words)} ended with {done.exit_code}:\n{done.output}"


def checked_values(path: str, given: dict[str, Any]) -> None:
    """What the verbs check themselves: settings, methods, metrics."""
    if path in {"translate", "invert"}:
        assignments = {
            key: value for key, value in parse_assignments(given["assignments"]).items() if key != "generator"
        }
        profile = given["profile"] if given["profile"] not in (None, "mine.toml", "my.toml") else "embedded"
        load_config(profile, {"task": path, **assignments}, given["method"])
    for name in (given.get("metrics") or "none").split(","):
        assert name in {"none", "standard"} or name in METRICS.rows, name


PROGRAMS = {".", "source", "cd", "git", ".venv/bin/pre-commit", "uv", "tar", "jq", "docker", "podman", "apptainer"}
PROGRAMS |= {"dask", "kubectl", "helm", "sbatch", "squeue", "srun", "ssh", "rsync", "aws", "curl", "ls", "cat"}
"""Programs of others, whose words are theirs; files of this repository that they name must be there."""


def external(printed: Printed) -> bool:
    """Whether a rule covers a command of another program, and what it names of ours exists."""
    name, *rest = printed.words
    below = [word for word in rest if "/" in word.strip("/") and word[0] != "." and not word.startswith("runs/")]
    ours = [word for word in below if (ROOT / word.split("/")[0]).is_dir()]
    assert all((ROOT / word).exists() for word in ours), f"{printed} names no file of ours"
    if name == "make":
        targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        return all(word in targets for word in rest if "=" not in word)
    if name == "export":
        return all("=" in word for word in rest)
    if name in {"torchrun", "python", "python3", ".venv/bin/python"} and "-m" in rest:
        module, *words = rest[rest.index("-m") + 1 :]
        if module in {"mgi", "flows.cli"}:
            return bool(verb([word for word in words if word != "..."]))
        return importlib.util.find_spec(module) is not None
    if name in {"pip", ".venv/bin/pip"}:
        extras = ",".join(re.findall(r"\[([\w,]+)\]", " ".join(rest))).split(",")
        known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        return rest[0] == "install" and set(extras) <= {"", *known}
    if (name, *rest[:2]) == ("prefect", "deployment", "run"):
        return deployed(rest[2], [word.split("=", 1)[0] for before, word in pairwise(rest) if before == "--param"])
    if name == "prefect":
        group = next(word for word in rest if not word.startswith("-")).replace("-", "_")
        commands = Path(str(importlib.util.find_spec("prefect").origin)).parent / "cli"  # type: ignore[union-attr]
        return (commands / f"{group}.py").exists() or (commands / group).is_dir()
    return name in PROGRAMS


def deployed(name: str, parameters: list[str]) -> bool:
    """Whether prefect.yaml has a deployment, and its flow these parameters."""
    flow, _, deployment = name.partition("/")
    rows = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    (entry,) = (row for row in rows if row["name"] == deployment)
    module, _, function = entry["entrypoint"].rpartition(".")
    found = getattr(importlib.import_module(module), function)
    return flow == found.name and set(parameters) <= set(inspect.signature(found.fn).parameters)


def to_run(printed: Printed) -> bool:
    """Whether a command is run here; every other is read.

    Raises:
        AssertionError: no rule covers it, or it names what does not exist.
        LookupError, UsageError, ConfigError: no such verb, option or value.
    """
    if not printed.words:
        return False
    if printed.words[0] != "mgi":
        assert external(printed), f"no rule covers {printed}"
        return False
    words = list(printed.words[1:])
    path, given = parsed(words)
    checked_values(path, given)
    return path in RUN and not any(part in word or word.startswith("/") for word in words for part in ELSEWHERE)


@pytest.mark.parametrize("page", [page for page in pages() if commands(page)])
def test_commands_of_a_page(page: str, reader: Path) -> None:
    for printed in commands(page):
        if to_run(printed):
            invoked(list(printed.words[1:]))


@pytest.mark.parametrize(
    "command",
    [
        "mgi translated a b --out c",
        "mgi translate a b --out c --fast",
        "mgi translate a b --out c --set inversion.step=3",
        "mgi invert a --out c --method best",
        "mgi resume runs/a --metrics beauty",
        "mgi translate a b --out c --limit many",
        "make cake",
        "prefect deployment run evaluate/evaluate --param colour=red",
        "torchrun -m flows.cli train everything",
        "python -m benchmarks.nothing",
        "pip install mgi[all]",
        "rm -rf runs",
        "prefect cake create",
        "mgi doctor && mgi resume",
        "for run in runs/*; do mgi status $run --jason; done",
        "kubectl apply -f docs/nothing.yaml",
    ],
)
def test_what_does_not_exist_is_refused(command: str) -> None:
    with pytest.raises((AssertionError, LookupError, USAGE, ConfigError)):
        for words in simple(command):
            to_run(Printed("page.md", 1, tuple(words)))


@pytest.mark.parametrize("page", pages())
def test_verbs_and_options_in_prose_exist(page: str) -> None:
    for text in mentions(page):
        _, _, command, rest = verb([word for word in text.split()[1:] if word != "..."])
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for word in rest:
            assert not word.startswith("--") or word.split("=")[0] in options | {"--help"}, f"{page}: {text}"
