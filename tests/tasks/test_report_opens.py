"""A report of 2,000 pairs opens at once: its list is short rows in the page, all else comes when it is looked at."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from devtools import PHONE, tab
from made_up_run import MadeUpRun
from PIL import Image

from tasks.report import listing
from tasks.report.page import build_report

PAIRS, HYPOTHESES = 2000, 4
SECONDS = 2.0
SET = (
    "tools.elements.{name}.value = '{value}';tools.elements.{name}.dispatchEvent(new Event('input', {{bubbles: true}}))"
)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The report of a run whose pictures were all made before: one file under many names."""
    monkeypatch.setattr(listing, "GALLERY", 2)  # a contact sheet of all takes longer than the rest
    folder = tmp_path / "run"
    run = MadeUpRun(folder, PAIRS, HYPOTHESES, odd=True)
    (folder / "final").mkdir(parents=True)
    one = tmp_path / "one.jpg"
    Image.effect_noise((256, 256), 60).convert("RGB").save(one, quality=90)
    for id in run.pair_ids():
        (folder / "report" / id).mkdir(parents=True)
        os.link(one, folder / "final" / f"{id}.png")
        for name in ("source", "exemplar", "warp", "result"):
            os.link(one, folder / "report" / id / f"{name}.jpg")
    return build_report(run)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.browser
def test_two_thousand_pairs_open_at_once_and_answer_at_once(large: Path, tmp_path: Path) -> None:
    assert large.stat().st_size < 2 << 20
    with tab(tmp_path) as browser:
        for size in ((1400, 900), PHONE):
            browser.open(large.as_uri(), size)
            timing = browser.js("performance.getEntriesByType('navigation')[0].toJSON()")
            assert timing["loadEventEnd"] < 1000 * SECONDS
            assert browser.js("document.querySelectorAll('.card').length") == 24
            assert browser.js("byId('count').textContent") == "All 2000 pairs, 1 to 24, page 1 of 84"
        pictures = [address for address in browser.loaded if address.endswith(".jpg")]
        assert 0 < len(pictures) < 4 * 2 * 24  # those in sight and a few below; never the run's 8,000
        begun = time.perf_counter()
        browser.js(SET.format(name="sort", value="psnr"))
        browser.js(SET.format(name="q", value="s0019"))
        assert time.perf_counter() - begun < 1
        assert browser.js("byId('count').textContent").startswith("100 of 2000 pairs")
        browser.js("document.querySelector('[data-pair]').click()")
        browser.wait("about && base.complete && base.naturalWidth")
        assert browser.errors == []
