"""The page shows what the store holds, survives odd names and moved folders, and can be read by anyone."""

from __future__ import annotations

import shutil
import tomllib
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from report_run import ODD, FakeMethod, Page

from mgi.config import RunConfig
from storage.run_store import RunStore
from tasks.report.commands import toml_of
from tasks.report.page import build_report
from tasks.report.template import duration


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
