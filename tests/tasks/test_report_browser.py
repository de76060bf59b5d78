"""The page in a real browser, narrow and wide: it is drawn, and its script runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import chromium
from PIL import Image
from report_run import FakeMethod

from storage.run_store import RunStore
from tasks.report.page import build_report


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [500, 1400])
def test_a_browser_draws_it_and_runs_its_script(store: RunStore, tmp_path: Path, width: int) -> None:
    page = build_report(store, FakeMethod())
    check = """<script>
      const input = document.querySelector(".compare input"); input.value = 40; input.dispatchEvent(new Event("input"));
      document.querySelectorAll("a.zoom")[1].click();
      const table = document.querySelector("table.sortable");
      const button = [...table.querySelectorAll("th button")].find((b) => b.textContent === "mean loss");
      button.click(); button.click();
      const facts = [input.parentElement.style.getPropertyValue("--split"), document.querySelector("dialog").open,
        table.tBodies[0].rows[0].cells[0].textContent,
        document.documentElement.scrollWidth <= document.documentElement.clientWidth];
      document.title = JSON.stringify(facts);
    </script></body>"""
    probe = page.with_name("probe.html")
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", check), encoding="utf-8")
    dom = chromium(tmp_path, f"--window-size={width},900", "--dump-dom", probe.as_uri())
    assert '<title>["40%",true,"L06N30",true]</title>' in dom
    shot = tmp_path / "shot.png"
    chromium(tmp_path, f"--window-size={width},900", f"--screenshot={shot}", page.as_uri())
    with Image.open(shot) as image:
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 20
