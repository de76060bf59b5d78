"""The page of an evaluation: its tables sort, its rows lead to their reports, and names are text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from devtools import DESK, PHONE, tab
from report_run import Page

from tasks.suites.frame import frame_of
from tasks.suites.page import write_page
from tasks.suites.suite import load_suite

ODD = '<img src=x onerror="document.title=1">'


def rows(method: str, values: list[float], metric: str) -> list[dict[str, Any]]:
    shared = {"suite": "s", "version": 1, "method": method, "metric": metric, "higher_is_better": False, "status": "ok"}
    return [{**shared, "pair_id": f"p{number}", "value": value} for number, value in enumerate(values)]


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    measured = {"mgi": [1.0, 2.0, 3.0], "b": [100.0, 90.0, 80.0], "a": [9.0, 9.5, 9.25]}
    table = [
        row
        for metric in ("style", "structure")
        for name, found in measured.items()
        for row in rows(name, found, metric)
    ]
    not_run = {"suite": "s", "version": 1, "method": ODD, "status": f"not run: {ODD}"}
    for old in ("tables/sets.md", "figures/time-fid.svg"):  # of an evaluation with other metrics
        (tmp_path / old).parent.mkdir()
        (tmp_path / old).touch()
    write_page(str(tmp_path), load_suite("faces-embedded"), frame_of([*table, not_run]), {})
    return tmp_path / "evaluation.html"


def test_every_number_can_be_sorted_by_and_names_are_text(evaluation: Path) -> None:
    page = Page(evaluation)
    assert page.open == []
    files = {path.name for path in evaluation.parent.rglob("*")}
    assert "pairs.md" in files and not files & {"sets.md", "time-fid.svg"}
    assert len(page.all("table", "sortable")) == 3  # of pairs, of differences, of rows
    values = [float(cell["data-value"]) for cell in page.all("td", "n") if cell["data-value"]]
    assert {2.0, 90.0, 9.25} <= set(values)
    assert ODD in page.text and not any("onerror" in image for image in page.all("img"))
    for link in page.links():
        assert link.startswith("#") or link == "data:," or (evaluation.parent / link).is_file(), link


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_sorts_its_tables(evaluation: Path, tmp_path: Path) -> None:
    names = "[...document.querySelectorAll('#pairs tbody th')].map((head) => head.textContent)"
    with tab(tmp_path) as browser:
        for size in (DESK, PHONE):
            browser.open(evaluation.as_uri(), size)
            assert not browser.js("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert browser.js(names) == ["mgi", "b", "a", ODD]
        browser.js("document.querySelectorAll('#pairs thead button')[1].focus()")
        browser.press("Enter")
        assert browser.js(names) == ["mgi", "a", "b", ODD]  # by number; what was not run stays last
        browser.press("Enter")
        assert browser.js(names) == ["b", "a", "mgi", ODD]
        assert browser.js("document.querySelector('#pairs [aria-sort]').getAttribute('aria-sort')") == "descending"
        assert browser.errors == [] and browser.js("document.title") != "1"
