"""The working memory of a piece of work."""

from __future__ import annotations

import sys
import time

import pytest
import torch

from mgi import memory
from mgi.memory import PERIOD, WorkingMemory

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")


def work(mib: int) -> torch.Tensor:
    held = torch.ones(mib * memory.MIB // 4)
    time.sleep(5 * PERIOD)
    return held[:2].clone()


def test_the_peak_counts_and_what_was_there_before_does_not() -> None:
    before = work(1), torch.ones(30 * memory.MIB // 4)
    with WorkingMemory() as found:
        work(64)
    assert found.mib == pytest.approx(64, abs=4) and len(before) == 2
    with WorkingMemory() as less:  # the heap still has the pages of the first
        work(8)
    assert less.mib == pytest.approx(8, abs=4)
    with WorkingMemory() as kept:
        more = torch.ones(16 * memory.MIB // 4)
    assert kept.mib == pytest.approx(16, abs=4) and more.numel()


def test_nothing_is_said_where_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_heap", lambda: None)
    with WorkingMemory() as found:
        work(8)
    assert found.mib is None


def test_an_error_of_the_work_ends_the_watch() -> None:
    watch = WorkingMemory()
    with pytest.raises(ValueError, match="no"), watch:
        raise ValueError("no")
    assert not watch._watch.is_alive() and watch.mib is not None
