"""Settings that no run can have: one line that names them, exit code 2, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 2)


def mgi(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


def translate(inputs: Path, run: str | Path, *more: str | Path, profile: str | Path = "", **environment: str) -> Result:
    folders = (inputs / "sources", inputs / "exemplars")
    profile = profile or inputs / "stub.toml"
    return mgi("translate", *folders, f"--out={run}", "--profile", profile, *more, **environment)


def refused(result: Result, *words: str) -> None:
    lines = result.stderr.splitlines()
    assert result.exit_code == 2, (result.output, result.exception)
    assert len(lines) == 1 and lines[0].startswith("mgi: "), result.stderr
    assert "internal error" not in lines[0] and len(lines[0]) < 500, lines
    assert all(word in lines[0] for word in words), lines


VALUES = [
    ("inversion.learning_rate=inf", "inversion.learning_rate"),
    ("inversion.prior_weight=nan", "inversion.prior_weight"),
    ("selection.fidelity_bound=inf", "selection.fidelity_bound"),
    ("oeft.betas=[nan, 0.5]", "oeft.betas"),
    ("options.strength=inf", "options.strength"),
    ("options.nested={a = [nan]}", "options.nested"),
    ("inversion.composing_layers=[-4]", "inversion.composing_layers"),
    ("inversion.composing_layers=[0]", "inversion.composing_layers"),
    ("inversion.num_codes=[0]", "inversion.num_codes"),
    ("inversion.num_codes=[-10]", "inversion.num_codes"),
    ("inversion.num_codes=[1000000000]", "inversion.num_codes"),
    ('inversion.hypotheses=["L00N10"]', "inversion.hypotheses"),
    ('inversion.hypotheses=["L04N00"]', "inversion.hypotheses"),
    ('inversion.hypotheses=["L04N10", "L04N10"]', "L04N10 twice"),
    ('inversion.hypotheses=["L04N10", "L4N10"]', "L04N10 twice"),
    ('inversion.hypotheses=["L\u00b2N10"]', "inversion.hypotheses"),
    ('inversion.rungs=["\u00b2:3"]', "inversion.rungs"),
    (f"inversion.steps={'9' * 30}", "inversion.steps"),
    (f"inversion.steps={'9' * 5000}", "inversion.steps"),
    (f"inversion.steps={'[' * 3000}", "inversion.steps"),
    ('generator="a\\u0000b"', "generator"),
    ('selection.domain="a\\u0000b"', "selection.domain"),
    ("upsampling=1000000000", "upsampling"),
]


@pytest.mark.parametrize(("assignment", "word"), VALUES, ids=[value[:40] for value, _ in VALUES])
def test_impossible_values(inputs: Path, tmp_path: Path, assignment: str, word: str) -> None:
    refused(translate(inputs, tmp_path / "run", "--set", assignment), word)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["composing_layers", "num_codes"])
def test_lists_that_leave_no_hypothesis_or_one_twice(inputs: Path, tmp_path: Path, key: str) -> None:
    empty = ("--set", "inversion.hypotheses=[]")
    refused(translate(inputs, tmp_path / "run", *empty, "--set", f"inversion.{key}=[]"), "hypothes")
    refused(translate(inputs, tmp_path / "run", *empty, "--set", f"inversion.{key}=[4, 4]"), "twice")


TOML = {
    "not UTF-8": b"profile = '\xff\xfe'\n",
    "UTF-16": "profile = 'x'\n".encode("utf-16"),
    "deep": b"x = " + b"[" * 5000 + b"]" * 5000,
    "deep enough to parse": b"x = " + b"[" * 200 + b"]" * 200,
    "deep sections": b"[" + b"a." * 20000 + b"a]\n",
    "endless number": b"x = " + b"9" * 5000,
    "a section as a value": b"inversion = 3\n",
    "a section as a list": b"[[inversion]]\nsteps = 3\n",
}


@pytest.mark.parametrize("kind", TOML)
@pytest.mark.parametrize("more", [(), ("--method", "mgi"), ("--set", "inversion.steps=3")], ids=" ".join)
def test_profiles_that_cannot_be_read(inputs: Path, tmp_path: Path, kind: str, more: tuple[str, ...]) -> None:
    (tmp_path / "bad.toml").write_bytes(TOML[kind])
    refused(translate(inputs, tmp_path / "run", *more, profile=tmp_path / "bad.toml"))
    assert not (tmp_path / "run").exists()


def test_a_profile_that_is_a_folder(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").mkdir()
    refused(translate(inputs, tmp_path / "run", profile=tmp_path / "bad.toml"), "bad.toml")


@pytest.mark.parametrize(
    "environment",
    [
        {"MGI_WORKERS": "-1"},
        {"MGI_WORKERS": "1000000"},
        {"MGI_WORKERS": "many"},
        {"MGI_LIMIT": "0"},
        {"MGI_INVERSION": "[1]"},
        {"MGI_INVERSION": "{"},
        {"MGI_INVERSION__STEPS": "inf"},
        {"MGI_SCHEDULER": "nonsense"},
        {"MGI_PATIENCE": "-3"},
    ],
    ids=str,
)
def test_variables(inputs: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    refused(translate(inputs, tmp_path / "run", **environment), next(iter(environment)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "address", ["nonsense", "tcp://", "tcp://host", "http://host:1", "host:0", "host:99999", "tcp://a b:1", "tcp://:1"]
)
def test_addresses_that_are_none(inputs: Path, tmp_path: Path, address: str) -> None:
    refused(translate(inputs, tmp_path / "run", "--scheduler", address), "--scheduler", "tcp://10.0.0.5:8786")


@pytest.mark.parametrize(
    "arguments", [("trnslate",), ("status",), ("translate", "a"), ("status", "a", "b"), ("status", "--no-such", "a")]
)
def test_what_is_mistyped_is_one_line_too(plain: None, arguments: tuple[str, ...]) -> None:
    refused(mgi(*arguments), "--help")


def test_home_is_expanded_after_an_equals_sign(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert translate(inputs, "~/run", "--workers=0").exit_code == 0
    assert (tmp_path / "home" / "run" / "run.json").is_file() and not (tmp_path / "~").exists()
    assert "~" not in translate(inputs, "~/run", "--workers=0").stdout


@pytest.mark.parametrize("place", ["s3://bucket", "gs://bucket", "https://host/run"])
def test_addresses_that_are_no_runs(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    refused(translate(inputs, place), "expected a", place)
    pictures = (place, inputs / "exemplars")
    refused(mgi("translate", *pictures, "--out=run", "--profile", inputs / "stub.toml"), "folder or file", place)
    assert not list(tmp_path.iterdir())


def test_results_never_become_sources(inputs: Path, tmp_path: Path) -> None:
    """RUN below SOURCES is right, since runs are left out of the listing; the other ways round are refused."""
    own = make_inputs(tmp_path / "own", 2)
    assert translate(own, own / "sources" / "run", "--workers=0").exit_code == 0
    again = translate(own, own / "sources" / "run", "--workers=0")
    assert again.exit_code == 0 and "2 of 2 pairs done; nothing to compute" in again.stdout

    refused(translate(own, own / "sources"), "sources is inside")
    refused(translate(own, own / "exemplars"), "exemplars is inside")
    final = own / "sources" / "run" / "final"
    run = ("--out", own / "sources" / "run", "--profile", own / "stub.toml")
    refused(mgi("translate", final, own / "exemplars", *run), "inside")
    refused(mgi("invert", own / "sources" / "run", *run), "inside")
