"""Every option of every verb from the environment: the rule that `mgi --help` states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from runs import make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.cli.environment import BELONG, HELP, ONLY_LONG, options_of, variables
from flows.settings import SECTIONS, TOP_LEVEL

TAKEN = {"MGI_WEIGHTS_DIR", "MGI_WEIGHTS_MIRROR", "MGI_OFFLINE", "MGI_PREFECT", "MGI_METHOD_FACTORY", "MGI_DEBUG"}
TAKEN |= {f"MGI_{name.upper()}" for name in (*SECTIONS, *TOP_LEVEL)}

VALUES = {
    "faces": "all",
    "fidelity_bound": "2.5",
    "critic_margin": "2.5",
    "warp": "oeft",
    "truncation": "0.25",
    "threshold": "0.25",
    "tolerance": "0.25",
}
"""Texts for options that accept only certain values; 23 is a number and a text for all others."""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MGI_PROFILE", "MGI_WORKERS", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 2)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb with its path."""
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, inner in command.commands.items():
        yield from leaves(inner, (*path, name))


VERBS = dict(leaves(typer.main.get_command(app)))
OPTIONS = [(path, option.name) for path, verb in VERBS.items() for option in options_of(verb)]


def parsed(path: str, without: str, *typed: str) -> dict[str, Any]:
    """What a verb receives: its arguments and required options are typed, except `without`."""
    *groups, last = path.split()
    context: Any = typer.Context(typer.main.get_command(app), info_name="mgi")
    for name in groups:
        context = typer.Context(context.command.commands[name], info_name=name, parent=context)
    verb = VERBS[path]
    words = ["x" for parameter in verb.params if parameter.param_type_name == "argument" and parameter.required]
    for option in options_of(verb):
        if (option.required and option.name != without) or BELONG.get(without) == option.name:
            words += [option.opts[0], "x"]
    return dict(verb.make_context(last, [*words, *typed], parent=context).params)


def option_of(path: str, name: str) -> Any:
    return next(option for option in options_of(VERBS[path]) if option.name == name)


def test_the_walk_meets_every_verb() -> None:
    verbs = {"translate", "invert", "resume", "edit", "sample", "report", "doctor", "status", "profiles"}
    groups = {"train generator", "weights list", "weights fetch", "directions sample", "directions fit"}
    assert verbs | groups <= VERBS.keys()
    assert len(OPTIONS) > 60


@pytest.mark.parametrize(("path", "name"), OPTIONS)
def test_every_variable_of_every_option_acts(monkeypatch: pytest.MonkeyPatch, path: str, name: str) -> None:
    option = option_of(path, name)
    text = "1" if option.is_flag else VALUES.get(name, "23")
    unset = parsed(path, "")[name]
    for variable in variables(path, option):
        monkeypatch.setenv(variable, text)
        value = parsed(path, name)[name]
        monkeypatch.delenv(variable)
        expected = "True" if option.is_flag else str([text]) if option.multiple else text
        assert (str(value), value != unset) == (expected, True), variable


def test_names_are_those_of_the_help_and_none_is_taken() -> None:
    for path, name in OPTIONS:
        option = option_of(path, name)
        long, *short = variables(path, option)
        flag = max(option.opts, key=len)
        assert long == "_".join(["MGI", *path.upper().split(), flag.strip("-").upper().replace("-", "_")])
        assert bool(short) == (flag not in ONLY_LONG and not option.is_flag)
        assert not TAKEN & {long, *short}
    assert all(flag in HELP for flag in ONLY_LONG)
    said = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert " ".join(HELP.split()) in said


def test_the_command_line_wins_and_the_longer_name_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_SEED", "1")
    assert parsed("invert", "")["seed"] == 1
    monkeypatch.setenv("MGI_INVERT_SEED", "2")
    assert (parsed("invert", "")["seed"], parsed("translate", "")["seed"]) == (2, 1)
    assert parsed("invert", "", "--seed", "3")["seed"] == 3
    monkeypatch.setenv("MGI_INVERT_SEED", "")
    assert parsed("invert", "")["seed"] == 1


def test_repeated_options_are_separated_by_semicolons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_TRANSLATE_SET", 'inversion.hypotheses=["L04N03", "L05N02"]; inversion.steps=4')
    expected = ['inversion.hypotheses=["L04N03", "L05N02"]', "inversion.steps=4"]
    assert parsed("translate", "")["assignments"] == expected
    assert parsed("translate", "", "--set", "oeft.iterations=3")["assignments"] == ["oeft.iterations=3"]


def test_of_two_options_for_one_thing_the_typed_one_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_DEGRADE", "gray")
    assert parsed("invert", "", "--set", "inversion.degradation=rain")["degrade"] is None
    assert parsed("invert", "", "--set", "inversion.steps=3")["degrade"] == "gray"
    monkeypatch.setenv("MGI_INVERT_SET", "inversion.method=mgi;inversion.steps=3")
    assert parsed("invert", "", "--method", "pulse")["assignments"] == ["inversion.steps=3"]

    monkeypatch.setenv("MGI_SCHEDULER", "tcp://a:1")
    typed = parsed("resume", "", "--workers", "2")
    assert (typed["workers"], typed["scheduler"]) == ("2", None)
    monkeypatch.setenv("MGI_WORKERS", "2")
    typed = parsed("resume", "", "--scheduler", "tcp://b:1")
    assert (typed["workers"], typed["scheduler"]) == (None, "tcp://b:1")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("MGI_LIMIT", "none", ""),
        ("MGI_TRANSLATE_DRY_RUN", "maybe", ""),
        ("MGI_TRANSLATE_WARP", "magic", "magic"),
        ("MGI_PROFILE", "no-such-profile", "no-such-profile"),
        ("MGI_METHOD", "colourise", "colourise"),
        ("MGI_PAIRING", "triples", "triples"),
        ("MGI_TRANSLATE_WORKERS", "many", "many"),
        ("MGI_TRANSLATE_SET", "inversion.steps=3; steps;", "expected section.key=value"),
        ("MGI_INVERSION__STEPS", "0", "inversion.steps"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, found: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = run("translate", inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run")

    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("mgi: ") and variable in line and found in line


@pytest.mark.parametrize(("name", "value"), [("objective", "best"), ("resolution", "100")])
def test_a_bad_value_that_the_verb_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MGI_{name.upper()}", value)
    result = run("train", "generator", tmp_path, "--out", tmp_path / "model")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert name in line and line.endswith(f"(set by MGI_{name.upper()})")


def test_what_was_typed_is_not_blamed_on_the_environment(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGI_PAIRING", "product")
    folders = (inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run")
    assert "MGI_" not in run("translate", *folders, "--profile", "no-such-profile").output
    monkeypatch.setenv("MGI_LIMIT", "1")
    typed = run("translate", *folders, "--limit", "0").output
    assert "--limit" in typed and "MGI_" not in typed
    monkeypatch.setenv("MGI_PROFILE", "quick")
    assert "MGI_" not in run("translate", *folders, "--profile", "quik").output
    monkeypatch.setenv("MGI_INVERSION__STEPS", "9")
    assert "MGI_" not in run("translate", *folders, "--set", "inversion.steps=0").output


def test_a_whole_command_from_the_environment(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "MGI_PROFILE": str(inputs / "stub.toml"),
        "MGI_METHOD": "single-code",
        "MGI_INVERT_OUT": str(tmp_path / "run"),
        "MGI_INVERT_DRY_RUN": "1",
        "MGI_DEGRADE": "down4",
        "MGI_LIMIT": "1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = run("invert", inputs / "sources")

    assert result.exit_code == 0, result.output
    assert "single-code" in result.stdout and "(degradation: down4)" in result.stdout
    assert "pictures    1" in result.stdout
    assert not (tmp_path / "run").exists()
    by_key = run("invert", inputs / "sources", "--set", "inversion.method=pulse")
    assert "pulse" in by_key.stdout, by_key.output


def test_the_method_acts_for_translate_too(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = ("translate", inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run", "--dry-run")
    profile = ("--profile", inputs / "stub.toml")
    monkeypatch.setenv("MGI_METHOD", "mganprior")
    assert "mganprior" in run(*folders, *profile).stdout
    assert "pulse" in run(*folders, *profile, "--set", "inversion.method=pulse").stdout
    assert "image2stylegan" in run(*folders, *profile, "--method", "image2stylegan").stdout
