"""The page shows what the store holds, survives odd names and moved folders, and can be read by anyone."""

from __future__ import annotations

import shutil
import tomllib
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from report_run import HYPOTHESES, ODD, PAIRS, STEPS, FakeMethod, Page, view_of

from mgi.config import RunConfig
from storage.run_store import RunStore
from tasks.report.commands import next_step, toml_of
from tasks.report.page import build_report
from tasks.report.template import duration


def test_page_lists_every_pair_and_says_what_became_of_it(store: RunStore) -> None:
    page = Page(build_report(store, FakeMethod(), seconds=61))
    assert page.open == []
    for text in (
        "2 of 4",
        "1 min 01 s",
        "broken.png is <b>truncated</b>; bring it again",
        "Repair or replace the picture",
    ):
        assert text in page.text
    run = page.run
    assert [column["key"] for column in run["columns"]] == ["value", "seconds"]
    first, _, broken, later = run["pairs"]
    assert first == [PAIRS[0].id, "a.png", "b.png", "done", "L04N10", "sewr", [1.0, 7.75], ""]
    assert (broken[3], broken[7]) == ("quarantined", "broken.png is <b>truncated</b>; bring it again")
    assert (later[3], later[5]) == ("pending", "")
    assert [curve["name"] for curve in run["chart"]["curves"]] == list(HYPOTHESES)


def test_a_pair_has_a_file_with_its_hypotheses_and_curves(store: RunStore) -> None:
    build_report(store, FakeMethod())
    view = view_of(store, PAIRS[1])
    assert (view["exemplar"], view["hypothesis"], view["notes"]) == (ODD, "L04N10", "b.png: first of 3 frames")
    chosen, guarded, failed = view["lanes"]
    assert (chosen["selected"], guarded["guarded"], failed["failed"]) == (True, True, "the loss became NaN")
    assert chosen["picture"] and guarded["distance"] == 2.0 and failed["picture"] is None
    assert [(curve["name"], curve["chosen"]) for curve in view["chart"]["curves"]] == [
        ("L05N20", False),
        ("L04N10", True),
    ]
    for path in [*view["pictures"].values(), view["final"], chosen["picture"]]:
        assert (store.path / path).is_file()


def test_a_damaged_curve_is_left_out_and_there_again_once_it_is_repaired(store: RunStore) -> None:
    whole = np.geomspace(1, 0.1, STEPS).astype(np.float32)
    store.write("loss/L04N10", 0, whole * 2)
    build_report(store)
    assert [curve["name"] for curve in view_of(store, PAIRS[0])["chart"]["curves"]] == ["L05N20", "L06N30"]
    store.write("loss/L04N10", 0, whole)
    build_report(store)
    assert len(view_of(store, PAIRS[0])["chart"]["curves"]) == 3


@pytest.mark.parametrize(
    ("stage", "reason", "said", "command"),
    [
        ("warp", "a.png is empty (0 bytes); bring it again or remove it", "replace the picture", "resume"),
        ("translate", "its process died 3 times, perhaps for lack of memory", "more memory", "retry"),
        ("select", "no hypothesis can be selected", "tables/hypotheses.csv", "retry"),
    ],
)
def test_a_pair_in_quarantine_says_what_to_do(stage: str, reason: str, said: str, command: str) -> None:
    text, name = next_step(stage, reason)
    assert said in text and name == command


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
    assert len(page.all("script")) == 2 and not page.all("b", "truncated")
    assert page.run["pairs"][1][2] == ODD
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
    assert {"header", "nav", "main", "form", "dialog"} <= {tag for tag, _ in page.elements}
    assert all(
        "aria-label" in a or "aria-labelledby" in a for tag in ("section", "dialog", "form") for a in page.all(tag)
    )
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
