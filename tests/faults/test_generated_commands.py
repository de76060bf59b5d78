"""Command lines and configurations that nobody thought of: a documented exit code, one line, no internal error."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from runs import PROFILE, make_inputs
from typer.testing import CliRunner

from flows.cli import app
from flows.errors import Exit
from mgi.config import RunConfig

SHORT, LONG = 60, 500

KEYS = [
    "generator",
    "upsampling",
    "translator",
    "task",
    "profile",
    *(
        f"{section}.{key}"
        for section in ("align", "warp", "oeft", "inversion", "selection")
        for key in RunConfig.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
    ),
    "options.x",
    "inversion",
    "inversion.nothing",
    "nothing",
    "a.b.c",
    ".",
    "inversion..steps",
]
ODD = [
    *("inf", "-inf", "nan", "0", "-1", "1e400", "-0.0", "9" * 25, "9" * 5000, "true", "''", '""', "[]", "{}", "[[[]]]"),
    *("[" * 2000, "[0]", "[-3]", "[1, 1]", '["L00N00"]', '["L04N03", "L4N3"]', "L04N03", "{a = 1}", "1979-05-27"),
    *("\u00b2", "\U0001f600", "\x1b[31m", "a\nb", "\udcff", '"\\u0000"', "../..", "/", "~", "~nobody/x", "s3://b/x"),
    *("none", "mask:", "mask:/nowhere", "down3", "zip", "x" * 300, "lpips", "cycle", "40:8", '["8:40", "3:1"]'),
]
TEXT = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_characters="\0"), max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.lists(st.integers(-3, 50), max_size=3).map(str),
    st.lists(st.floats(), max_size=2).map(str),
)
OPTIONS = ["--limit", "--seed", "--pairing", "--profile", "--method", "--warp", "--metrics", "--patience", "--nothing"]
OPTION = st.tuples(st.sampled_from([*OPTIONS, "--workers", "--scheduler", "--out"]), TEXT)
ASSIGNMENT = st.tuples(st.just("--set"), st.tuples(st.sampled_from(KEYS), TEXT).map("=".join))
VARIABLE = st.tuples(
    st.sampled_from(
        ["MGI_SEED", "MGI_LIMIT", "MGI_WORKERS", "MGI_PREFECT", "MGI_PROFILE", "MGI_INVERSION", "MGI_INVERSION__STEPS"]
    ),
    TEXT.filter(lambda text: text.isprintable()),
)
BYTES = st.one_of(
    st.binary(max_size=30),
    st.tuples(st.sampled_from(KEYS), TEXT).map(lambda pair: f"{pair[0]} = {pair[1]}\n".encode(errors="replace")),
)
COMMANDS = st.fixed_dictionaries(
    {
        "verb": st.sampled_from(["translate", "translate", "invert", "resume", "select", "status", "report", "edit"]),
        "options": st.lists(st.one_of(OPTION, ASSIGNMENT, ASSIGNMENT), max_size=3),
        "variables": st.lists(VARIABLE, max_size=1),
        "toml": st.one_of(st.none(), BYTES),
        "dry": st.booleans(),
    }
)


def run_one(folder: Path, case: dict[str, object]) -> None:
    inputs, run = folder / "inputs", Path(tempfile.mkdtemp(dir=folder)) / "run"
    profile = run.parent / "own.toml"
    profile.write_bytes(PROFILE.encode() if case["toml"] is None else bytes(case["toml"]))  # type: ignore[call-overload]
    given_options = [part for pair in case["options"] for part in pair]  # type: ignore[attr-defined]
    folders = {"translate": ["sources", "exemplars"], "invert": ["sources"]}.get(str(case["verb"]))
    arguments = [str(case["verb"])]
    if folders:
        arguments += [str(inputs / name) for name in folders]
        arguments += ["--out", str(run), "--profile", str(profile)]
        arguments += ["--dry-run"] if case["dry"] else []
    else:
        arguments += [str(run)]
    if "--scheduler" not in given_options and case["verb"] in ("translate", "invert", "resume", "select"):
        arguments += ["--workers", "0"]
    before = Path.cwd()
    os.chdir(run.parent)
    try:
        variables = dict(case["variables"])  # type: ignore[call-overload]
        ended = CliRunner().invoke(app, [*arguments, *given_options], env=variables)
    finally:
        os.chdir(before)
    shown = json.dumps([arguments, given_options, variables, repr(case["toml"])])
    assert ended.exit_code in {int(code) for code in Exit}, shown
    assert isinstance(ended.exception, (SystemExit, type(None))), (shown, ended.exception)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("mgi: ")]
    expected = 1 if ended.exit_code in (Exit.FAILED, Exit.USAGE) else 0
    assert len(lines) == expected and "internal error" not in ended.stderr, (shown, ended.stderr)


def generated(count: int, folder: Path) -> None:
    @seed(14)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(COMMANDS)
    def check(case: dict[str, object]) -> None:
        run_one(folder, case)

    check()


@pytest.fixture
def folder(tmp_path: Path, stub: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with inputs; no case gets a pool of workers, waits for a scheduler or leaves this machine."""
    make_inputs(tmp_path / "inputs", 2)
    monkeypatch.setenv("MGI_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tasks.workers.cluster.CONNECT_WAIT", 1)
    monkeypatch.setattr("flows.pipeline.count_workers", lambda workers: 0)
    monkeypatch.setattr("flows.session.count_workers", lambda workers: 0)
    return tmp_path


def test_short(folder: Path) -> None:
    generated(SHORT, folder)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_long(folder: Path) -> None:
    generated(LONG, folder)
