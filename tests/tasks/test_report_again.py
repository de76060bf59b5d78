"""A second report costs nothing, and pictures of hypotheses are rendered once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from report_run import PAIRS, FakeMethod, Page, view_of

from storage.run_store import RunStore
from tasks.report import listing, pair_view
from tasks.report.page import build_report


def test_a_second_report_renders_and_writes_nothing(store: RunStore) -> None:
    method = FakeMethod()
    build_report(store, method)
    assert method.previews == 5  # six lanes, one failed
    before = snapshot(store.path)
    build_report(store, method)
    build_report(store)
    assert method.previews == 5
    assert snapshot(store.path) == before
    assert {"report.html", "contact_sheet.png", "tables/hypotheses.csv", "tables/pairs.parquet"} <= set(before)


def test_a_loader_is_only_called_when_a_picture_is_missing(store: RunStore) -> None:
    method, calls = FakeMethod(), []

    def load() -> FakeMethod:
        calls.append(1)
        return method

    build_report(store, load)
    assert calls
    calls.clear()
    build_report(store, load)
    assert not calls


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_without_a_method_losers_are_left_out_until_there_is_one(store: RunStore) -> None:
    build_report(store)
    assert [lane["picture"] for lane in view_of(store, PAIRS[0])["lanes"]] == [None, None, None]
    build_report(store, FakeMethod())
    assert all(lane["picture"] for lane in view_of(store, PAIRS[0])["lanes"])


def test_beyond_the_gallery_losers_are_not_rendered_and_curves_are_read_once(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "GALLERY", 1)
    method, reads = FakeMethod(), []
    monkeypatch.setattr(pair_view, "lane_value", lambda *found: reads.append(found[2]) or np.ones(3))
    build_report(store, method)
    assert method.previews == 3 and reads == [PAIRS[0].id] * 3 + [PAIRS[1].id] * 2
    reads.clear()
    build_report(store, method)
    assert method.previews == 3 and reads == [PAIRS[0].id] * 3  # the mean of the gallery's


def test_a_list_that_is_cut_says_so(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LISTED", 1)
    page = Page(build_report(store))
    assert len(page.run["pairs"]) == 1 and "These are the first 1 of 4 pairs" in page.text
