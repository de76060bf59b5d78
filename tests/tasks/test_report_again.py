"""A second report costs nothing, and pictures of hypotheses are rendered once."""

from __future__ import annotations

from pathlib import Path

from report_run import FakeMethod, Page

from storage.run_store import RunStore
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
    page = Page(build_report(store))
    assert "not rendered" in page.text and len(page.all("article", "pair")) == 2
    page = Page(build_report(store, FakeMethod()))
    assert "not rendered" not in page.text
