"""The page shows what the store holds, survives odd names and moved folders, and costs nothing the second time."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mgi.config import RunConfig
from mgi.pairs import Hypothesis, Pair
from storage.images import write_png
from storage.run_store import ArraySpec, RunStore
from tasks.report.commands import toml_of
from tasks.report.page import build_report
from tasks.report.template import duration

HYPOTHESES = ("L04N10", "L05N20", "L06N30")
ODD = "<script>alert('1')</script> & \"é#1?%20\".png"
PAIRS = (Pair("a.png", "b.png"), Pair("a.png", ODD), Pair("broken.png", "b.png"), Pair("later.png", "b.png"))
SIZE, STEPS = 32, 12


class FakeMethod:
    """Counts the pictures it is asked for."""

    def __init__(self) -> None:
        self.previews = 0

    def lane_arrays(self, hypothesis: Hypothesis) -> dict[str, tuple[tuple[int, ...], str]]:
        return {"latents": ((4,), "float32")}

    def preview(self, arrays: dict[str, np.ndarray], hypothesis: Hypothesis) -> np.ndarray:
        self.previews += 1
        assert arrays["latents"].shape == (4,)
        return np.full((SIZE, SIZE, 3), 10 * hypothesis.composing_layer, np.uint8)


@pytest.fixture
def config() -> RunConfig:
    inversion = {"hypotheses": HYPOTHESES, "steps": STEPS}
    return RunConfig.model_validate({"inversion": inversion, "warp": {"image_size": SIZE}})


@pytest.fixture
def empty(tmp_path: Path, config: RunConfig) -> RunStore:
    arrays = {f"warp/{name}": ArraySpec((SIZE, SIZE, 3), "uint8") for name in ("source", "exemplar", "warp")}
    for id in HYPOTHESES:
        arrays |= {f"loss/{id}": ArraySpec((STEPS,), "float32"), f"latents/{id}": ArraySpec((4,), "float32")}
    table = pd.DataFrame(
        [{"index": i, "id": p.id, "source": p.source, "exemplar": p.exemplar} for i, p in enumerate(PAIRS)]
    )
    inputs = {"sources": "/in/my sources", "exemplars": "/in/exemplars", "pairing": "product", "limit": None, "seed": 7}
    header = {"config": config.model_dump(mode="json"), "digest": config.digest(), "inputs": inputs}
    header |= {
        "versions": {"torch": "2.x"},
        "weights": {},
        "git_revision": None,
        "created": "2026-01-02T03:04:05+00:00",
    }
    return RunStore.create(tmp_path / "a run", header, table, arrays)


@pytest.fixture
def store(empty: RunStore) -> RunStore:
    """Two pairs done (one of the second's lanes failed), one quarantined, one not begun."""
    for index, pair in enumerate(PAIRS[:2]):
        fill(empty, index, pair, failed="L06N30" if index else None)
    empty.quarantine(PAIRS[2].id, "warp", "broken.png is <b>truncated</b>; bring it again")
    return empty


def fill(store: RunStore, index: int, pair: Pair, failed: str | None) -> None:
    names = [f"warp/{name}" for name in ("source", "exemplar", "warp")]
    for shade, name in enumerate(names):
        store.write(name, index, np.full((SIZE, SIZE, 3), 50 * shade + index, np.uint8))
    warp: dict[str, Any] = {"info": {"aligned_source": "face"}, "notes": ["b.png: first of 3 frames"], "seconds": 1.0}
    store.publish("warp", pair.id, pair_index=index, arrays=names, payload=warp)
    scores = {}
    for rank, id in enumerate(HYPOTHESES):
        key, lane = f"{pair.id}.{id}", {"measures": {}, "failed": "the loss became NaN", "seconds": 2.0}
        if id != failed:
            store.write(f"loss/{id}", index, np.geomspace(1, 0.1 + rank, STEPS).astype(np.float32))
            store.write(f"latents/{id}", index, np.full(4, rank, np.float32))
            lane |= {"measures": {"loss": 0.1 + rank, "l2_before": 1.0, "l2_after": 0.5}, "failed": None}
            scores[id] = {"spatial-fd": 1.0 + rank, "sifid": 2.0}
        store.publish("invert", key, pair_index=index, arrays=[], payload=lane)
    store.publish("score", pair.id, pair_index=index, payload={"scores": scores, "seconds": 0.5})
    write_png(store.path / "final" / f"{pair.id}.png", np.full((4 * SIZE, 4 * SIZE, 3), 99, np.uint8))
    choice = {"hypothesis": "L04N10", "rule": "spatial-fd", "value": 1.0, "guarded": ["L05N20"], "seconds": 0.25}
    store.publish("select", pair.id, pair_index=index, payload=choice, files=[f"final/{pair.id}.png"])


class Page(HTMLParser):
    """Elements as (tag, attributes), and all text outside style and script."""

    void = frozenset({"meta", "link", "img", "input", "br", "line", "polyline"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag: str, css: str | None = None) -> list[dict[str, str]]:
        return [a for name, a in self.elements if name == tag and (css is None or css in a.get("class", "").split())]

    def links(self) -> list[str]:
        return [a[key] for _, a in self.elements for key in ("href", "src") if key in a]


def test_page_shows_every_pair_and_hypothesis(store: RunStore) -> None:
    page = Page(build_report(store, FakeMethod(), seconds=61))
    assert page.open == []
    assert len(page.all("article", "pair")) == 2
    assert len(page.all("figure", "selected")) == 2 and len(page.all("figure", "guarded")) == 2
    for text in ("2 of 4", "1 min 01 s", "spatial-fd 1.00", "first of 3 frames", "failed", "out of bound"):
        assert text in page.text
    assert "broken.png is <b>truncated</b>; bring it again" in page.text
    assert len(page.all("polyline")) == 3 + 2 + 3  # both pairs and the mean
    assert len(page.all("polyline", "chosen")) == 2


def test_page_says_what_ran_and_under_which_licence(store: RunStore, config: RunConfig) -> None:
    page = Page(build_report(store, FakeMethod()))
    for text in ("non-commercial", "generated pictures", config.digest(), "mobile-stylegan-ffhq", "torch 2.x"):
        assert text in page.text
    assert f"mgi resume '{store.path}'" in page.text
    assert "mgi translate '/in/my sources' /in/exemplars --out NEW_RUN" in page.text
    assert "--pairing product --seed 7" in page.text


def test_configuration_on_the_page_is_a_profile(config: RunConfig) -> None:
    assert RunConfig.model_validate(tomllib.loads(toml_of(config))).digest() == config.digest()
    odd = config.model_copy(update={"generator": 'C:\\odd "name"\n.pth'})
    assert tomllib.loads(toml_of(odd))["generator"] == odd.generator


def test_odd_names_are_text_and_nothing_else(store: RunStore) -> None:
    path = build_report(store, FakeMethod())
    page = Page(path)
    assert len(page.all("script")) == 1 and not page.all("b", "truncated")
    assert ODD in page.text
    assert any(ODD in attributes.get("alt", "") for attributes in page.all("img"))
    assert "<script>alert" not in path.read_text(encoding="utf-8")


def test_everything_it_needs_lies_beside_it(store: RunStore, tmp_path: Path) -> None:
    build_report(store, FakeMethod())
    moved = tmp_path / "moved"
    shutil.move(store.path, moved)
    page = Page(moved / "report.html")
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert ids and max(ids.values()) == 1
    for link in page.links():
        if link.startswith("#"):
            assert unquote(link[1:]) in ids
        elif link != "data:,":
            assert ":" not in link and not link.startswith("/"), link
            assert (moved / unquote(link)).exists(), link


def test_it_can_be_used_without_eyes_or_mouse(store: RunStore) -> None:
    page = Page(build_report(store, FakeMethod()))
    assert all("alt" in attributes for attributes in page.all("img"))
    assert all("aria-label" in attributes for attributes in page.all("input"))
    assert all("aria-label" in a for a in page.all("svg") if a.get("role") == "img")
    assert page.all("html")[0]["lang"] == "en" and page.all("main") and len(page.all("h1")) == 1


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


def test_a_run_that_has_just_begun_has_a_page(empty: RunStore) -> None:
    page = Page(build_report(empty))
    assert "No pair is finished yet" in page.text and "mgi resume" in page.text
    assert not (empty.path / "contact_sheet.png").exists()
    assert len(pd.read_csv(empty.path / "tables" / "pairs.csv")) == 4


def test_tables_agree_with_the_markers(store: RunStore) -> None:
    build_report(store)
    lanes = pd.read_parquet(store.path / "tables" / "hypotheses.parquet")
    assert len(lanes) == 6 and lanes["selected"].sum() == 2 and lanes["failed"].notna().sum() == 1
    pairs = pd.read_parquet(store.path / "tables" / "pairs.parquet")
    assert pairs["state"].tolist() == ["done", "done", "quarantined", "pending"]
    assert pairs["seconds"].tolist()[0] == pytest.approx(1.0 + 3 * 2.0 + 0.5 + 0.25)
    assert pairs["reason"].notna().tolist() == [False, False, True, False]
    summary = pd.read_csv(store.path / "tables" / "summary.csv")
    assert summary["wins"].tolist() == [2, 0, 0] and summary["failed"].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (4.25, "4.2 s"), (42, "42 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_read_well(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


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


def chromium(tmp_path: Path, *arguments: str) -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: install it to check the page in a browser")
    quiet = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
    ]
    profile = f"--user-data-dir={tmp_path / 'browser'}"
    command = [program, *quiet, profile, "--virtual-time-budget=2000", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
