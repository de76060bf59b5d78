"""A unit that kills its process again and again is set aside after three deaths; the others go on."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from growing import mgi, translate
from runs import command, environment, make_inputs
from stub_method import StubMethod

from storage.run_store import RunStore

pytestmark = pytest.mark.usefixtures("stub")

PAIRS, LANES = 3, 3
DEADLY = "s01__"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    return make_inputs(tmp_path / "in", PAIRS)


@pytest.fixture
def deadly(stub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inverting one pair kills the process, whatever the hypothesis."""
    monkeypatch.setenv("STUB_SUICIDE", "always")
    monkeypatch.setenv("STUB_FAIL", DEADLY)


def attempt(*arguments: str | Path) -> int | None:
    """The exit code of a command in a process of its own."""
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, timeout=100, check=False
    ).returncode


def begin(inputs: Path, run: Path, *more: str) -> int | None:
    profile = ("--profile", inputs / "stub.toml", "--workers", "0")
    return attempt("translate", inputs / "sources", inputs / "exemplars", "--out", run, *profile, *more)


def resume(run: Path, *more: str) -> int | None:
    return attempt("resume", run, "--workers", "0", *more)


def ends(run: Path, limit: int) -> list[int | None]:
    """Exit codes of resumes until one is not killed."""
    codes: list[int | None] = []
    while len(codes) < limit and (not codes or codes[-1] == -signal.SIGKILL):
        codes.append(resume(run))
    return codes


@pytest.mark.long
@pytest.mark.usefixtures("deadly")
def test_a_pair_that_kills_its_process_is_set_aside_after_three_deaths(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, one = tmp_path / "run", ("--set", 'inversion.hypotheses=["L04N03"]')
    killed = -signal.SIGKILL
    assert [begin(inputs, run, *one), *ends(run, 9)] == [killed, killed, killed, 3]

    (entry,) = RunStore.open(run).quarantined().items()
    assert DEADLY in entry[0] and "its process died 3 times" in entry[1].reason
    assert len(list((run / "final").glob("*.png"))) == PAIRS - 1
    assert not (run / "starts").exists()
    assert resume(run) == 3

    for _ in range(3):  # asked for again, it gets as many chances as before
        assert resume(run, "--retry") == killed
    monkeypatch.delenv("STUB_SUICIDE")
    monkeypatch.delenv("STUB_FAIL")
    mgi("resume", run, "--workers", "0")
    assert not (run / "starts").exists()


@pytest.mark.long
@pytest.mark.usefixtures("deadly")
def test_deaths_count_for_the_pair_not_for_each_of_its_hypotheses(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert [begin(inputs, run), *ends(run, 9)] == [-signal.SIGKILL] * 3 + [3]
    assert len(list((run / "final").glob("*.png"))) == PAIRS - 1


@pytest.mark.long
def test_what_a_pair_has_when_it_is_given_up_is_used(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("STUB_DEADLY", f"{DEADLY}:L05N02")
    assert [begin(inputs, run), *ends(run, 9)] == [-signal.SIGKILL] * 3 + [0]
    assert len(list((run / "final").glob("*.png"))) == PAIRS

    store = RunStore.open(run)
    lanes = {key: store.done("invert", key) or {} for key in store.keys_done("invert")}
    failed = {key: payload["failed"] for key, payload in lanes.items() if payload["failed"]}
    assert len(lanes) == PAIRS * LANES
    assert sorted(key.partition(".")[2] for key in failed) == ["L05N02", "L06N04"]
    assert all(DEADLY in key and "its process died 3 times" in reason for key, reason in failed.items())


@pytest.mark.usefixtures("deadly")
def test_pairs_of_one_batch_are_not_set_aside_with_the_guilty_one(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StubMethod, "lanes_per_batch", PAIRS)
    run, one = tmp_path / "run", ("--set", 'inversion.hypotheses=["L04N03"]')
    assert begin(inputs, run, *one) == -signal.SIGKILL
    assert ends(run, 9) == [-signal.SIGKILL] * 2 + [3]
    assert [DEADLY in pair for pair in RunStore.open(run).quarantined()] == [True]
    assert len(list((run / "final").glob("*.png"))) == PAIRS - 1


def test_an_orderly_end_is_no_death(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(StubMethod, "invert", interrupt)
        translate(inputs, run, code=130)
        for _ in range(3):
            mgi("resume", run, "--workers", "0", code=130)
    mgi("resume", run, "--workers", "0")
    assert RunStore.open(run).quarantined() == {}
    assert not (run / "starts").exists()
