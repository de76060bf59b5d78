"""The page in a real browser, on a desk and on a phone: by mouse, by finger, by keys, and as a screen reader has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from devtools import DESK, PHONE, Tab, tab
from report_run import ODD, PAIRS, FakeMethod

from storage.run_store import RunStore
from tasks.report.page import build_report

pytestmark = [pytest.mark.slow, pytest.mark.browser]

TITLES = "[...document.querySelectorAll('.card h3')].map((head) => head.textContent)"
CONTROLS = ("button", "link", "slider", "combobox", "searchbox", "textbox", "radio", "spinbutton", "checkbox")
WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def page(browser: Tab, store: RunStore) -> str:
    browser.errors.clear()
    browser.loaded.clear()
    return build_report(store, FakeMethod()).as_uri()


def look_at_first(browser: Tab) -> None:
    browser.js("document.querySelector('[data-pair]').focus()")
    browser.press("Enter")
    browser.wait("about")


def test_pairs_are_sorted_filtered_and_announced(browser: Tab, page: str) -> None:
    browser.open(page)
    assert browser.js(f"{TITLES}.length") == 4
    assert browser.js("byId('count').textContent") == "All 4 pairs, 1 to 4, page 1 of 1"
    browser.js("byId('q').focus()")
    browser.press(*"BROKEN")
    assert browser.js(TITLES) == ["broken.png + b.png"]
    assert browser.js("byId('count').textContent").startswith("1 of 4 pairs")
    assert "truncated</b>; bring it again" in browser.js("document.querySelector('.card').textContent")
    assert browser.js("location.hash") == "#q=BROKEN"
    browser.js("document.querySelector('[type=reset]').click()")
    browser.wait(f"{TITLES}.length === 4")
    browser.open(f"{page}#sort=title&down=1&state=done")  # an address keeps a view
    assert browser.js(TITLES) == ["a.png + b.png", f"a.png + {ODD}"]
    browser.open(f"{page}#as=table&number=value&min=1")
    assert browser.js("document.querySelectorAll('table.pairs tbody tr').length") == 2
    browser.js("document.querySelector('[data-sort=title]').click()")
    assert browser.js("document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "ascending"
    assert browser.errors == []


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_it_fits_and_is_not_blank(browser: Tab, page: str, size: tuple[int, int], tmp_path: Path) -> None:
    for dark in (False, True):
        browser.open(page, size, dark)
        assert not browser.js(WIDE)
        assert browser.js("[...document.images].filter((i) => i.complete && i.src && !i.naturalWidth).length") == 0
        look_at_first(browser)
        assert browser.js("[dialog, dialog.querySelector('.body')].every((e) => e.scrollWidth <= e.clientWidth)")
        assert browser.js("stage.getBoundingClientRect().right <= innerWidth")
    assert browser.picture(tmp_path / "shot.png").stat().st_size > 10_000
    assert browser.errors == [] and all(address.startswith(("file:", "data:", "about:")) for address in browser.loaded)


def test_a_pair_by_keys_alone(browser: Tab, page: str) -> None:
    browser.open(page)
    look_at_first(browser)
    assert browser.js("document.activeElement.id") == "pair-title"
    assert browser.js("byId('seen').textContent") == "Result, hypothesis L04N10, spatial-fd 1.00, chosen"
    assert browser.js("base.src.endsWith('.png') && base.alt.startsWith('Result')")
    browser.press("f")
    assert "warp.jpg" in browser.js("base.src") and browser.js("byId('flip').textContent") == "Flip to result"
    browser.press("f", "1")
    assert "source.jpg" in browser.js("base.src")
    browser.press("f")
    assert "final/" in browser.js("base.src")  # back to what was seen before
    browser.press("ArrowRight")
    assert browser.js("byId('seen').textContent") == "Hypothesis L05N20, spatial-fd 2.00, cannot win, out of bound"
    assert browser.js("slider.getAttribute('aria-valuetext')").startswith("Hypothesis L05N20")
    assert browser.js("document.querySelector('.film [aria-pressed=true]').dataset.lane") == "L05N20"
    assert browser.js("document.querySelector('.chart .now').dataset.name") == "L05N20"
    browser.press("ArrowLeft")
    assert browser.js("document.querySelector('.film .selected button').getAttribute('aria-pressed')") == "true"
    browser.press("n")
    browser.wait("about && byId('pair-title').textContent.includes('script')")
    assert unquote(browser.js("location.hash")) == f"#pair={PAIRS[1].id}"
    assert browser.js("byId('film').textContent.trim()").endswith("L06N30 failed")
    browser.press("Escape")
    browser.wait(
        f"!dialog.open && document.activeElement.dataset.pair === {json.dumps(PAIRS[1].id)}"
    )  # goes back first
    browser.open(f"{page}#pair={PAIRS[1].id}")
    browser.wait("dialog.open && about")
    assert browser.errors == []


def test_a_pair_by_mouse(browser: Tab, page: str) -> None:
    browser.open(page)
    look_at_first(browser)
    box = browser.js("(({left, top, width, height}) => [left, top, width, height])(stage.getBoundingClientRect())")
    across = [(box[0] + part * box[2], box[1] + box[3] / 2) for part in (0.1, 0.2, 0.3)]
    browser.mouse(*across)
    assert browser.js("getComputedStyle(stage).getPropertyValue('--split')") == "30%"
    assert browser.js("!over.hidden && over.src.includes('warp.jpg')")
    browser.mouse(across[0])
    assert "warp.jpg" in browser.js("base.src") and browser.js("over.hidden")
    browser.js("document.querySelectorAll('.film button')[1].click()")
    assert "L05N20" in browser.js("base.src")


def test_names_and_reasons_are_text(browser: Tab, store: RunStore) -> None:
    reason = '"><img src=x onerror="document.title = 1">'
    store.quarantine(PAIRS[3].id, "warp", reason)
    browser.open(build_report(store, FakeMethod()).as_uri())
    assert browser.js("document.querySelector('#list').textContent").count(reason) == 1
    assert browser.js("document.querySelector('#quarantine').textContent").count(reason) == 1
    assert browser.js("document.querySelectorAll('#list script, #quarantine img, [onerror]').length") == 0
    browser.js("openPair(pairs[1])")
    browser.wait("about")
    browser.js("document.querySelectorAll('[data-view]').forEach((button) => button.click())")
    assert browser.js("byId('pair-title').children.length + byId('facts').querySelectorAll('script, img').length") == 0
    assert ODD in browser.js("base.alt") and browser.js("document.title") == "a run: mgi run"
    assert browser.errors == []


def test_going_back_leads_back(browser: Tab, page: str) -> None:
    browser.open(f"{page}#q=a.png")
    browser.js("document.querySelector('[data-pair]').click()")
    browser.wait("dialog.open")
    browser.js("history.back()")
    browser.wait("!dialog.open")
    assert browser.js("location.hash") == "#q=a.png" and browser.js(f"{TITLES}.length") == 2


def test_what_a_screen_reader_is_told(browser: Tab, page: str) -> None:
    browser.open(page)
    told = spoken(browser)
    assert {"banner", "main", "navigation", "search", "status"} <= {role for role, _ in told}
    assert all(name for role, name in told if role in CONTROLS)
    assert ("image", "Result: a.png + b.png") in told
    look_at_first(browser)
    told = spoken(browser)
    assert ("dialog", "a.png + b.png") in told and ("slider", "Hypothesis, nearest first") in told
    assert ("button", "Hypothesis L05N20 2.00 out of bound") in told
    (chart,) = [name for role, name in told if role == "image" and name.startswith("Loss over steps")]
    assert "L04N10 ends at 0.100" in chart
    assert all(name for role, name in told if role in CONTROLS)


def spoken(browser: Tab) -> list[tuple[str, str]]:
    """(role, name) of everything in the tree that assistive software reads."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    return [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]]
