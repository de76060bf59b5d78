"""The documentation site: it builds without a warning, asks no other server for anything, and shows its equations."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import chromium
from places import ROOT

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"
LOADS = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("source", "srcset"),
}
ADDRESS = re.compile(r"^(?:https?:)?//")


class Page(HTMLParser):
    """What a page loads, where it links to, and the names of its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            self.loads += [value or ""] if (tag, name) in LOADS else []
            self.links += [value or ""] if (tag, name) == ("a", "href") else []
            self.places |= {value or ""} if name == "id" else set()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, by the command of `make docs`."""
    folder = tmp_path_factory.mktemp("site")
    (recipe,) = re.findall(r"-m (mkdocs build .*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", *shlex.split(recipe), "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert "--strict" in recipe
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    found = {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    return {name: Page(text) for name, text in found.items()}


def test_every_page_is_there_and_in_the_navigation(pages: dict[str, Page]) -> None:
    wanted = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")} | {"tutorial.html"}
    assert wanted <= set(pages)
    linked = {link.split("#")[0] for link in pages["index.html"].links}
    assert wanted - linked <= {"index.html"}
    assert {"repository/index.html", "repository/CONTRIBUTING.html", "repository/CHANGELOG.html"} <= linked


def test_the_tutorial_shows_its_pictures(site: Path, pages: dict[str, Page]) -> None:
    assert len([load for load in pages["tutorial.html"].loads if load.startswith("data:image/jpeg")]) == 6
    assert "quickstart.html" in pages["tutorial.html"].links
    assert "explained:" in (site / "tutorial.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    assert not {load for page in pages.values() for load in page.loads if ADDRESS.match(load)}
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


def test_equations_are_mathml(site: Path) -> None:
    page = (site / "equations.html").read_text(encoding="utf-8")
    source = (DOCS / "equations.md").read_text(encoding="utf-8")
    assert page.count('display="block"') == source.count("```math\n") > 20
    assert page.count('display="inline"') >= len(re.findall(r"(?<!\$)\$[^$\n]+\$", source)) > 15
    for path in site.rglob("*.html"):
        text = re.sub(r"<(script|code)\b.*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"arithmatex|\\\(|\\mathcal|\$\$|```", text), path


def test_functions_lead_to_the_reference(pages: dict[str, Page]) -> None:
    functions = re.findall(r"\[`(mgi[\w.]*):([\w.]+)`\]", (DOCS / "equations.md").read_text(encoding="utf-8"))
    targets = {f"api/equations.html#{module}.{name}" for module, name in functions}
    assert len(targets) > 40
    assert targets <= set(pages["equations.html"].links)
    assert {target.split("#")[1] for target in targets} <= pages["api/equations.html"].places


def test_equations_have_a_size_and_nothing_is_wider_than_a_phone(site: Path, tmp_path: Path) -> None:
    script = """<script>
    const boxes = [...document.querySelectorAll("math")].map(x => x.getBoundingClientRect());
    document.documentElement.dataset.seen = [
      innerWidth, document.documentElement.scrollWidth, Math.min(...boxes.map(b => b.height)),
      Math.min(...boxes.map(b => b.width)), boxes.length].join(" ");
    </script></body>"""
    copy = shutil.copytree(site, tmp_path / "copy")
    for name in ("equations.html", "index.html", "api/equations.html", "profiles.html", "tutorial.html"):
        page = copy / name
        page.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
        shown = chromium(tmp_path, "--window-size=500,900", "--dump-dom", page.as_uri())
        inner, width, height, least, count = re.findall(r'data-seen="([^"]+)"', shown)[0].split()
        assert float(width) <= float(inner) <= 500, name
        assert name != "equations.html" or (float(height) > 5 and float(least) > 3 and int(count) > 40)


def test_pages_may_be_absent_and_others_go_to_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "hooks"))
    import hooks
    import links

    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "code.py").write_text("x = 1\n", encoding="utf-8")
    for name in links.ALWAYS:
        (tmp_path / name).write_text(f"# {name}\n", encoding="utf-8")
    (docs / "index.md").write_text("[code](../code.py) and [home](../README.md#more)\n", encoding="utf-8")
    (docs / "new.md").write_text("```bash\n[not a link](../code.py)\n```\n", encoding="utf-8")
    site = links.Site(tmp_path, docs)
    project = {"Project": ["repository/README.md"]}
    nav: list[Any] = [{"Start": ["index.md", "absent.md"]}, {"Gone": ["gone.md"]}, project]
    found = hooks.navigation(nav, site)
    assert found == [{"Start": ["index.md"]}, project, {"More": ["new.md"]}]
    text = (docs / "index.md").read_text(encoding="utf-8")
    assert site.rewritten(text, "index.md") == "[code](repository/code.py.md) and [home](repository/README.md#more)\n"
    assert "```python\nx = 1\n" in str(site.shown["repository/code.py.md"])
    assert site.rewritten("[x](../code.py)", "api/deep.md") == "[x](../code.py)"  # another file, which is not there
    assert "../code.py" in site.rewritten((docs / "new.md").read_text(encoding="utf-8"), "new.md")
