"""Plain lines of progress."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from flows import progress
from mgi.progress import CoarseLoss
from tasks.workers import heartbeat


def test_a_stage_that_begins_again_counts_from_its_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, lines = [0.0], []
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    shown = progress.Lines(lines.append)

    def row(units: int, seconds: float) -> None:
        shown.begin("translate", "pairs", 8, 0)
        for unit in range(units):
            shown.beat("translate", str(unit), 0.0, 1.0)
            clock[0] += seconds
            shown.finish("translate", str(unit), None)

    row(8, 1.0)
    assert lines[-1] == "translate: 8 of 8 pairs"
    clock[0] += 100
    row(4, progress.LINE_PERIOD)  # the next row of an evaluation, slower
    assert lines[-1] == f"translate: 4 of 8 pairs, about {4 * progress.LINE_PERIOD:.0f} s to go, loss 1"
    assert not any("-" in line for line in lines)


def test_bars_of_an_evaluation_are_as_many_as_its_stages() -> None:
    shown = progress.Bars(Console(file=io.StringIO()))
    for row in range(3):
        for stage in ("warp", "evaluate"):
            shown.begin(stage, "pairs", 4 + row, 1)
            shown.finish(stage, "p", None)
    assert [(task.description, task.total, task.completed) for task in shown.progress.tasks] == [
        ("warp", 6, 2),
        ("evaluate", 6, 2),
    ]


def test_durations_are_said_in_the_unit_that_suits() -> None:
    said: dict[float, Any] = {seconds: progress.rough_duration(seconds) for seconds in (5, 89, 90, 5399, 5400)}
    assert list(said.values()) == ["5 s", "89 s", "2 min", "90 min", "1.5 h"]


def test_losses_of_the_coarse_head_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_PERIOD", 0.0)
    lines: list[str] = []
    bars = progress.Bars(Console(file=io.StringIO()))
    for shown in (bars, progress.Lines(lines.append)):
        shown.begin("invert", "hypotheses", 2, 0)
        shown.beat("invert", "a", 0.4, CoarseLoss(0.031))
    assert lines[-1].endswith("loss 0.031 (coarse head)")
    assert bars.progress.tasks[0].fields["loss"] == "loss 0.031 (coarse head)"
    bars.beat("invert", "a", 0.8, 1.2)
    assert bars.progress.tasks[0].fields["loss"] == "loss 1.2"


def test_a_quiet_console_shows_nothing() -> None:
    with progress.show_progress(Console(quiet=True)) as shown:
        assert isinstance(shown, progress.Silent) and progress.shown_observer() is shown


def test_a_worker_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    worker = SimpleNamespace(log_event=lambda topic, event: sent.append(event))
    monkeypatch.setattr(heartbeat, "_dask_worker", lambda: worker)
    for loss in (CoarseLoss(0.03), 1.2):
        heartbeat.Heartbeat("invert", ["a"])(1, 2, loss)
    assert [(event["loss"], event["coarse"]) for event in sent] == [(0.03, True), (1.2, False)]
    assert type(sent[0]["loss"]) is float
