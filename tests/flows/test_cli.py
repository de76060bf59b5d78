"""The command line: usage errors, exit codes, dry run, overrides, status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from marked import payloads
from runs import make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 2)


pytestmark = pytest.mark.usefixtures("stub")


def mgi(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def translate(inputs: Path, run: Path, *more: str | Path) -> Result:
    folders = (inputs / "sources", inputs / "exemplars")
    return mgi("translate", *folders, "--out", run, "--profile", inputs / "stub.toml", "--workers", "0", *more)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--limit", "0"), "--limit"),
        (("--no-such-option",), "--no-such-option"),
        (("--set", "inversion.steps"), "expected section.key=value"),
        (("--set", "inversion.no_such_key=1"), "unknown key inversion.no_such_key"),
        (("--set", "inversion.steps=0"), "inversion.steps"),
        (("--set", "no_section.key=1"), "unknown key no_section"),
        (("--profile", "no-such-profile"), "unknown profile 'no-such-profile'"),
        (("--profile", "missing.toml"), "missing.toml does not exist"),
        (("--pairing", "triples"), "unknown pairing 'triples'"),
        (("--pairing", "missing.csv"), "missing.csv does not exist"),
        (("--workers", "two"), "--workers two"),
        (("--warp", "magic"), "--warp"),
    ],
)
def test_usage_errors_are_one_line_and_code_2(
    inputs: Path, tmp_path: Path, more: tuple[str, ...], expected: str
) -> None:
    result = translate(inputs, tmp_path / "run", *more)

    assert result.exit_code == 2, result.output
    assert expected in result.output.replace("\n", " ")
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("tranlsate",), "mgi: No such command 'tranlsate'. Did you mean 'translate'? See `mgi --help`"),
        (("train", "generater"), "Did you mean 'generator'? See `mgi train --help`"),
        (("status", "run", "--quite"), "(Possible options: --quiet); see `mgi status --help`"),
    ],
)
def test_near_verbs_and_options_are_suggested(words: tuple[str, ...], line: str) -> None:
    result = mgi(*words)
    assert result.exit_code == 2 and result.output.count("\n") == 1 and line in result.output


def test_missing_folder(inputs: Path, tmp_path: Path) -> None:
    result = mgi("translate", inputs / "none", inputs / "exemplars", "--out", tmp_path / "run")
    assert (result.exit_code, "does not exist" in result.output) == (2, True)


def test_no_arguments_show_help() -> None:
    assert "translate" in mgi().output
    assert mgi("--help").exit_code == 0


def test_dry_run_writes_nothing(inputs: Path, tmp_path: Path) -> None:
    result = translate(inputs, tmp_path / "run", "--pairing", "product", "--dry-run")

    assert result.exit_code == 0, result.output
    assert "s00.png + e01.png" in result.stdout
    assert "L04N03 L05N02 L06N04" in result.stdout
    assert "12 inversions, 60 optimisation steps" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_translate_status_and_report(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = translate(inputs, run, "--set", 'inversion.hypotheses=["L04N03"]')

    assert result.exit_code == 0, result.output
    assert "2 of 2 pairs done" in result.stdout
    for name in ("report.html", "contact_sheet.png", "preview.png", "log.jsonl"):
        assert (run / name).is_file(), name
    assert len(list((run / "final").glob("*.png"))) == 2

    state = json.loads(mgi("status", run, "--json").stdout)
    assert state["complete"] is True
    assert state["stages"]["invert"] == {"done": 2, "total": 2, "failed": 0}
    assert "complete" in mgi("status", run).stdout

    again = mgi("report", run)
    assert again.exit_code == 0, again.output
    assert str(run / "report.html") in again.stdout


def test_environment_below_options_above_profile(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_INVERSION__STEPS", "9")
    monkeypatch.setenv("MGI_PROFILE", str(inputs / "stub.toml"))
    monkeypatch.setenv("MGI_LIMIT", "1")
    folders = (inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run", "--dry-run")

    assert "3 inversions, 27 optimisation steps" in mgi("translate", *folders).stdout
    assert "3 inversions, 12 optimisation" in mgi("translate", *folders, "--set", "inversion.steps=4").stdout


@pytest.mark.parametrize(("name", "value"), [("MGI_WORKERS", "many"), ("MGI_SEED", "-1"), ("MGI_INVERSION", "text")])
def test_impossible_environment(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    result = mgi("translate", inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "MGI_" in result.output


def test_failing_lanes_are_skipped_and_lost_pairs_quarantined(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_NAN", "L04N03")
    monkeypatch.setenv("STUB_FAIL", "s01__")
    run = tmp_path / "run"
    result = translate(inputs, run)

    assert result.exit_code == 3, result.output
    assert "the loss became NaN" in (run / "quarantine.csv").read_text()
    assert [path.name[:3] for path in (run / "final").glob("*.png")] == ["s00"]
    assert mgi("status", run).exit_code == 3
    assert mgi("resume", run, "--workers", "0").exit_code == 3

    monkeypatch.delenv("STUB_FAIL")
    retried = mgi("resume", run, "--workers", "0", "--retry")
    assert retried.exit_code == 0, retried.output
    assert len(list((run / "final").glob("*.png"))) == 2


def test_set_fid_chooses_once_for_all(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert translate(inputs, run, "--set", "selection.rule=set-fid").exit_code == 0
    assert {choice["hypothesis"] for choice in payloads(run, "select").values()} == {"L04N03"}


def test_full_disk_is_one_line(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr("storage.run_store.RunStore.write", full)
    result = translate(inputs, tmp_path / "run")

    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("mgi:")]
    assert len(errors) == 1
    assert "no space left" in errors[0]
    assert "mgi resume" in errors[0]


def test_interrupt_is_130(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stub_method.StubMethod.invert", interrupt)
    result = translate(inputs, tmp_path / "run")
    assert result.exit_code == 130
    assert f"mgi resume {tmp_path / 'run'}" in result.output


def test_a_bug_is_one_line_and_debug_shows_it(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.pipeline.plan_for", lambda *_: 1 / 0)
    result = translate(inputs, tmp_path / "run")
    assert (result.exit_code, "Traceback" in result.output) == (1, False)
    assert "internal error: ZeroDivisionError" in result.output

    monkeypatch.setenv("MGI_DEBUG", "1")
    assert "Traceback" in translate(inputs, tmp_path / "run").output


@pytest.mark.parametrize("verb", ["resume", "status", "report"])
def test_no_run(tmp_path: Path, verb: str) -> None:
    result = mgi(verb, tmp_path)
    assert result.exit_code == 2
    assert "holds no run" in result.output


def test_profiles_are_listed_and_shown() -> None:
    names = [line.split()[0] for line in mgi("profiles").stdout.splitlines()]
    assert {"embedded", "quick", "paper-celebahq", "paper-ffhq"} <= set(names)
    assert "inversion.steps = " in mgi("profiles", "quick").stdout


def test_weights_list_and_unknown_names() -> None:
    assert "mobile-stylegan-ffhq" in mgi("weights", "list").stdout
    assert mgi("weights", "fetch", "no-such-network").exit_code == 2
    assert mgi("weights", "fetch").exit_code == 2


def test_sample_of_an_unknown_generator(tmp_path: Path) -> None:
    result = mgi("sample", "no-such-generator", "--out", tmp_path / "grid.png")
    assert result.exit_code == 2, result.output
    assert "no-such-generator" in result.output


@pytest.mark.slow
def test_doctor_speaks_of_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path))
    result = mgi("doctor")
    for subject in ("versions", "requirements", "device", "workers", "weights", "disk", "prefect", "environment"):
        assert subject in result.stdout
    assert "mgi weights fetch --embedded" in result.stdout

    monkeypatch.setenv("MGI_WEIGHTS_MIRROR", "https://me:secret@mirror.invalid/weights")
    monkeypatch.setenv("MGI_PREFECT", "always")
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@127.0.0.1:9/api")
    (tmp_path / "mobile-stylegan-ffhq.safetensors").write_bytes(b"damaged")
    broken = mgi("doctor")
    assert "secret" not in broken.output and "https://***@mirror.invalid" in broken.output
    assert broken.exit_code == 1
    assert "damaged: mobile-stylegan-ffhq" in broken.stdout
