"""Every command that the documentation prints is run, in small (`tests/stub/shortened.py`), or it is said here why not.

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
import torch
import typer
import yaml
from documented import Printed, commands, mentions, pages, parsed, simple, verb
from places import ROOT
from runs import PROFILE
from shortened import OWN, RUNS, furnish, provide, shortened, surround
from typer.testing import CliRunner

from flows.cli import app
from flows.settings import parse_assignments
from mgi.config import ConfigError
from mgi.metrics.registry import REGISTRY as METRICS
from mgi.profiles import load_config
from mgi.weights import WeightsMissing, path

pytestmark = pytest.mark.slow

READ: dict[str, str] = {
    r"scheduler tcp://": "needs a scheduler on other machines; tests/tasks/test_cluster.py has one",
    r"study serve ": "serves until it is stopped; tests/flows/test_study.py serves one",
    r"--install-completion": "changes the reader's shell; tests/flows/test_completion.py has what TAB says",
    r"--show-completion": "asks which shell called it",
    r"weights fetch (?!--embedded)": "needs NVIDIA's server; tests/mgi/test_weights_http.py has one",
    r"network-snapshot\.pkl": "needs a file of NVIDIA's; tests/mgi/test_ada_pickles.py writes such files",
    r"100000_nets_ema\.ckpt": "needs a file of StarGAN v2's authors; tests/mgi/test_stargan_v2.py writes one",
}
"""Commands that are read by the real command line and not run, and why; every other `mgi` command is run."""

USAGE = typer.BadParameter.__bases__[0]
"""Any mistake in the words of a command."""


@pytest.fixture
def reader(tmp_path: Path, plain: None, faults: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder, and a bucket; numbers that only measure are small."""
    try:
        monkeypatch.setenv("MGI_WEIGHTS_DIR", str(path("vgg16-imagenet").parent))
    except WeightsMissing as error:
        pytest.skip(str(error))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tasks.encoder_material.HELD_OUT", 8)
    monkeypatch.setattr("flows.pipeline.count_workers", lambda workers: 0)
    monkeypatch.setattr("flows.session.count_workers", lambda workers: 0)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Page:
    """The commands of a page one after the other, each in what those before it left."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._real: set[str] = set()
        self._last: dict[str, list[str]] = {}
        self._trained: dict[str, int] = {}

    def run(self, printed: Printed) -> None:
        """Run a command, which must succeed."""
        words = list(printed.words[1:])
        at = words.index("--out") + 1 if "--out" in words else 0
        place = words[at] if at else ""
        block = printed.block if "train" in words and "--resume" not in words else 0
        if place in {"RUN", "MODEL"} or (block and self._trained.get(place, block) != block):
            shutil.rmtree(place, ignore_errors=True)  # the word stands for another each time; a block stands by itself
            self._real.discard(place)
        if block:
            self._trained[place] = block
        text = " ".join(words) + " "
        real = words[0] not in RUNS or any(part in text for part in OWN) or bool(self._real & set(words))
        if real and place:
            self._real.add(place)
        short = shortened(words, self._last.get(words[0], []))
        if "..." not in words and at:
            self._last[words[0]] = [*words[1 : at - 1], *words[at + 1 :]]
        provide(words)
        surround(self._patch, real)
        if not real:
            short = _of_the_stub(short)
        threads = torch.get_num_threads()
        done = CliRunner().invoke(app, short)
        torch.set_num_threads(threads)
        assert done.exit_code == 0, f"{printed}, run as {short}, ended with {done.exit_code}:\n{done.output}"


def _of_the_stub(words: list[str]) -> list[str]:
    """The command with the stub's profile; a file of the reader's own stays."""
    for number in [number for number, word in enumerate(words, 1) if word == "--profile"]:
        own = Path(words[number]).suffix == ".toml"
        words[number] = words[number] if own else "stub.toml"
        if own and not Path(words[number]).exists():
            Path(words[number]).write_text(PROFILE, encoding="utf-8")
    return words


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
    verbs, given = parsed(words)
    checked_values(verbs, given)
    return reason(printed) is None


def reason(printed: Printed) -> str | None:
    """Why a command is only read, if it is."""
    return next((why for pattern, why in READ.items() if re.search(pattern, " ".join(printed.words))), None)


@pytest.mark.parametrize("page", [page for page in pages() if commands(page)])
def test_commands_of_a_page(page: str, reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = [command for command in commands(page) if to_run(command)]
    if printed:
        furnish(reader, any("train" in command.words for command in printed))
    shown = Page(monkeypatch)
    for command in printed:
        shown.run(command)


def test_few_commands_are_only_read_and_each_for_a_reason() -> None:
    ours = [printed for page in pages() for printed in commands(page) if printed.words[:1] == ("mgi",)]
    read = {pattern: [p for p in ours if re.search(pattern, " ".join(p.words))] for pattern in READ}
    gone = [pattern for pattern, found in read.items() if not found]
    assert not gone, f"no page prints this any more: {gone}"
    assert sum(map(len, read.values())) <= len(READ), "run the new one, or say why not"
    for tests in re.findall(r"tests/\S+\.py", " ".join(READ.values())):
        assert (ROOT / tests).exists()


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
