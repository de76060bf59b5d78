"""What commands cost grows with the number of pairs, not with its square: counted in calls, not in seconds."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from pathlib import Path

import pytest
from large_run import make_finished, make_pictures, translate_arguments
from typer.testing import CliRunner

from flows.cli import app

STEADY = 2.3
"""(calls at 4n - calls at 2n) / (calls at 2n - calls at n) is 2 if they grow with n, and 4 if with its square."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    monkeypatch.setattr("tasks.report.listing.LISTED", 2)  # the page shows as many pairs, however many there are


def calls(*arguments: object, code: int = 0) -> int:
    """How many functions a command calls, C functions included."""
    profile = cProfile.Profile()
    done = profile.runcall(CliRunner().invoke, app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def growth(cost: Callable[[int], int], sizes: tuple[int, int, int]) -> float:
    cost(sizes[0])  # what is imported or cached is paid once
    small, middle, large = map(cost, sizes)
    return (large - middle) / (middle - small)


@pytest.mark.slow
def test_deciding_that_nothing_is_left(tmp_path: Path) -> None:
    sizes = (512, 1024, 2048)
    runs = {size: make_finished(tmp_path / str(size), size, 20) for size in sizes}

    def again(size: int) -> int:
        return calls("resume", runs[size], "--workers", 0)

    for size in sizes:
        again(size)  # looks at every picture for the first time
    assert growth(again, sizes) < STEADY
    assert growth(lambda size: calls("status", runs[size]), sizes) < STEADY
    assert growth(lambda size: calls(*translate_arguments(tmp_path / str(size), runs[size])), sizes) < STEADY


@pytest.mark.long
@pytest.mark.slow
def test_a_whole_run_and_what_it_leaves(tmp_path: Path) -> None:
    sizes, count = (64, 128, 256), iter(range(100))

    def translate(size: int) -> int:
        inputs = make_pictures(tmp_path / str(next(count)), size, 2)
        found = calls(*translate_arguments(inputs, inputs / "run"))
        files = [path for path in (inputs / "run").rglob("*") if path.is_file() and path.parent.name != "report"]
        assert len([path for path in files if "report" not in path.parts]) < 3 * size
        return found

    assert growth(translate, sizes) < STEADY


@pytest.mark.slow
def test_setting_pairs_aside(tmp_path: Path) -> None:
    sizes, count = (64, 128, 256), iter(range(100))

    def translate(size: int) -> int:
        inputs = make_pictures(tmp_path / str(next(count)), size, 1)
        for picture in (inputs / "sources").iterdir():
            picture.unlink()
            picture.write_bytes(b"no picture")
        return calls(*translate_arguments(inputs, inputs / "run"), code=3)

    assert growth(translate, sizes) < STEADY
