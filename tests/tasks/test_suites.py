"""Suites, tidy tables and what is made of them: pivots, differences, regressions."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.dates import dated
from mgi.config import ConfigError
from mgi.intervals import holm, mean_interval, paired_difference
from mgi.pairs import Pair
from storage.folders import InputError
from tasks.given import content_of, match_results
from tasks.suites.asked import changed, rows_of, split_metrics
from tasks.suites.compare import compare, worse
from tasks.suites.frame import frame_of
from tasks.suites.pivots import html_table, latex, markdown, pivot
from tasks.suites.suite import load_suite, shipped
from tasks.suites.summary import summarise


def rows(method: str, values: list[float], metric: str = "style", **more: Any) -> list[dict[str, Any]]:
    shared = {"suite": "s", "version": 1, "method": method, "metric": metric, "higher_is_better": False, "status": "ok"}
    return [{**shared, "pair_id": f"p{number:02d}", "value": value, **more} for number, value in enumerate(values)]


def of_set(method: str, value: float, low: float, high: float) -> dict[str, Any]:
    (row,) = rows(method, [value], "frechet-vgg16", low=low, high=high, n=50)
    return {**row, "pair_id": None}


HARD = np.random.default_rng(0).uniform(1, 9, 30)
"""How hard each pair is, for every method."""
NOISE = np.random.default_rng(1).normal(0, 0.05, 30)


def test_paired_differences_see_what_means_cannot() -> None:
    better = HARD - 0.2 + NOISE
    assert mean_interval(HARD).low < mean_interval(better).high  # the intervals of the means overlap
    found = paired_difference(better, HARD)
    assert found.high < 0 and found.p < 0.01 and found.count == 30
    assert paired_difference(HARD + NOISE - NOISE.mean(), HARD).p > 0.5


def test_chance_is_found_about_as_often_as_it_should_be() -> None:
    random = np.random.default_rng(3)
    ps = [paired_difference(random.normal(size=20), random.normal(size=20)).p for _ in range(200)]
    assert 2 <= sum(p < 0.05 for p in ps) <= 20


def test_intervals_leave_out_what_is_no_number() -> None:
    found = mean_interval(np.array([1.0, np.nan, 3.0, np.inf]))
    assert (found.value, found.count) == (2.0, 2)
    assert np.isnan(mean_interval(np.array([1.0])).low) and mean_interval(np.array([])).count == 0


def test_holm_corrects_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, float("nan"), 0.03])[:2] == [pytest.approx(0.03), pytest.approx(0.06)]
    assert holm([0.01, 0.04, float("nan"), 0.03])[3] == pytest.approx(0.06)
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_summary_says_who_is_best_and_who_is_not_told_apart() -> None:
    table = frame_of(
        [
            *rows("mgi", list(HARD)),
            *rows("better", list(HARD - 0.5 + NOISE)),
            *rows("as-good", list(HARD - 0.5 - NOISE + NOISE.mean() * 2)),
            of_set("mgi", 10, 9, 11),
            of_set("better", 10.5, 9.5, 11.5),
            of_set("as-good", 14, 13, 15),
            {"suite": "s", "version": 1, "method": "cocosnet", "status": "not run: weights cocosnet missing"},
            {"method": "mgi", "metric": "style", "value": 3.0, "status": "published"},
            {"method": "gan", "metric": "style", "value": 4.0, "status": "published"},
        ]
    )
    summary = summarise(table, "mgi").set_index(["method", "metric"])
    assert not summary.loc[("mgi", "style"), "best"]
    assert summary.loc[("better", "style"), "best"] and summary.loc[("as-good", "style"), "best"]
    assert summary.loc[("better", "style"), "difference"] == pytest.approx(-0.5 + NOISE.mean())
    assert np.isnan(summary.loc[("mgi", "style"), "difference"])
    assert summary.loc[("mgi", "frechet-vgg16"), "best"] and summary.loc[("better", "frechet-vgg16"), "best"]
    assert not summary.loc[("as-good", "frechet-vgg16"), "best"]
    assert summary.loc[("mgi", "style"), "published"] == 3 and np.isnan(summary.loc[("gan", "style"), "value"])


def test_of_few_pairs_not_everything_is_the_best() -> None:
    """No p of four pairs is below 0.125; what differs in every pair by far is not as good for that."""
    table = frame_of(
        [*rows("mgi", [1.0, 1.1, 0.9, 1.0]), *rows("far", [5.0, 6.0, 5.5, 5.2]), *rows("near", [1.1, 1.0, 1.0, 1.0])]
    )
    best = summarise(table, "mgi").set_index("method")["best"].to_dict()
    assert best == {"mgi": True, "far": False, "near": True}


def test_tables_in_every_format() -> None:
    table = frame_of(
        [
            *rows("mgi_a", [0.123456, 0.2], unit="s"),
            *rows("b", [1.5, 1.75]),
            {"method": "cocosnet", "status": "not run: weights X missing"},
            {"method": "b", "metric": "style", "value": 229.723, "run": "MGI, table 1", "status": "published"},
            {"method": "b", "metric": "style", "value": 3.0, "run": "OEFT, table 1", "status": "published"},
            {"method": "gan", "status": "not run: weights ~/gan.pt missing"},
            {"method": "gan", "metric": "style", "value": 4.5, "status": "published"},
        ]
    )
    found = pivot(summarise(table, "mgi_a"))
    text = markdown(found)
    assert "| method | style (s) ↓ | style, published (s) ↓ |" in text
    assert "| mgi_a | **0.162** (0.123 to 0.200) | – |" in text
    assert "| 229.723 (MGI, table 1); 3 (OEFT, table 1) |" in text
    assert "| cocosnet | not run: weights X missing |" in text
    assert "| gan | not run: weights ~/gan.pt missing | 4.5 |" in text
    tex = latex(found)
    assert r"style (s) $\downarrow$ & style, published (s) $\downarrow$ \\" in tex
    assert r"\textbf{0.162}" in tex and r"mgi\_a" in tex and tex.count(r"\\") == 5
    assert r"\multicolumn{2}{l}{not run: weights X missing}" in tex and r"\textasciitilde{}/gan.pt" in tex
    page = html_table(found)
    assert "<b>0.162</b><small>0.123 to 0.200</small>" in page and 'class="missing"' in page


def test_what_got_worse_beyond_chance_is_a_regression() -> None:
    old = frame_of([*rows("mgi", list(HARD)), *rows("mgi", list(HARD), "seconds"), of_set("mgi", 10, 9, 11)])
    slower = frame_of(
        [*rows("mgi", list(HARD + 0.3 + NOISE)), *rows("mgi", list(HARD + 9), "seconds"), of_set("mgi", 10.1, 9, 11)]
    )
    changes = {change.metric: change for change in compare(old, slower)}
    assert [change.metric for change in worse(list(changes.values()))] == ["style"]
    assert changes["seconds"].verdict == "slower" and changes["frechet-vgg16"].verdict == "same"
    assert changes["style"].low > 0 and changes["style"].p < 0.01
    assert not worse(compare(old, slower, tolerance=0.2)) and not worse(compare(old, old))
    assert {change.metric: change.verdict for change in compare(slower, old)}["style"] == "better"
    far = frame_of([of_set("mgi", 20, 19, 21)])
    assert [change.verdict for change in compare(old, far)] == ["worse"]
    with pytest.raises(ConfigError, match="in common, found none"):
        compare(old, frame_of(rows("other", [1.0])))


@pytest.mark.parametrize("name", shipped())
def test_suites_that_ship_can_be_read_and_name_what_there_is(name: str) -> None:
    from mgi.profiles import load_config
    from tasks.suites.rows import require_metrics

    suite = load_suite(name)
    assert suite.name == name and suite.methods and suite.summary.endswith(".")
    require_metrics(suite)
    for row in suite.methods:
        if not (row.hypotheses_of or row.warps_of):
            load_config(row.profile or suite.profile, {**suite.set, **row.set, "task": suite.task}, row.of_method)


@pytest.mark.parametrize("name", ["uda-inversion-source", "uda-inversion-target", "uda-inversion-ablation"])
def test_published_errors_are_of_the_pixels_that_ours_are_of(name: str) -> None:
    """`mse` is of pixels in [0, 1]; the paper's tables print four times that, as their PSNR shows."""
    found: dict[str, dict[str, float]] = {}
    for number in load_suite(name).published:
        found.setdefault(number.method, {})[number.metric] = number.value
    assert found
    for row in found.values():
        # A mean of squared errors is at least that of their mean logarithm.
        assert 1 < row["mse"] / 10 ** (-row["psnr"] / 10) < 1.4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'\nmethod = 3", "suite .*: unknown key method;"),
        ("[[methods]]\nname='a'", "name: Field required"),
        ("name='x'\n[[methods]]\nname='a'\n[[methods]]\nname='a'", "two rows are called a; give one"),
        ("name='x'\n[[methods]]\nname='A b'", "expected lower-case letters.*found 'A b'"),
        ("name='x'\n[[methods]]\nname='a'\nhypotheses_of='b'", "methods.a.hypotheses_of: no row before it is called b"),
        ("name='x'\n[[methods]]\nname='a'\nwarps_of='a'", "methods.a.warps_of: no row before it is called a"),
        ("name='x'\nagainst='b'\n[[methods]]\nname='a'", "against: no row is called b; expected one of a"),
        ("name='x'\n[data]\ngenerator='kaokore'", "data.generator needs data.limit"),
        ("name=", "cannot be read as TOML"),
    ],
)
def test_a_suite_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError, match=said) as error:
        load_suite(str(tmp_path / "own.toml"))
    assert "\n" not in str(error.value)


def test_an_unknown_suite_is_answered_by_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"suite celeba: expected one of .*kaokore.*, or a .toml file"):
        load_suite("celeba")


def test_paths_of_a_suite_start_at_its_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("name='x'\n[data]\nsources='a'\nexemplars='/b'\n[[methods]]\nname='mgi'")
    data = load_suite(str(tmp_path / "own.toml")).data
    assert (data.sources, data.exemplars) == (str(tmp_path / "a"), "/b")


def make(folder: Path, *names: str) -> str:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(name.encode())
    return str(folder)


def test_results_are_found_by_pair_or_by_source(tmp_path: Path) -> None:
    pairs = [Pair("a.jpg", "x.png"), Pair("b.jpg", "y.png")]
    by_source = make(tmp_path / "one", "a.png", "b.webp")
    assert match_results(by_source, pairs) == {pairs[0].id: f"{by_source}/a.png", pairs[1].id: f"{by_source}/b.webp"}
    by_pair = make(tmp_path / "two", "a__x.png", f"{pairs[1].id}.png")
    assert set(match_results(by_pair, pairs)) == {pair.id for pair in pairs}
    twice = [Pair("a.jpg", "x.png"), Pair("a.jpg", "y.png")]
    with pytest.raises(InputError, match=r"expected a result of a.jpg by x.png, such as a__x.png, found none among 2"):
        match_results(by_source, twice)
    assert match_results(by_source, twice, strict=False) == {}
    with pytest.raises(InputError, match=r"a\.png and a\.webp are both results of a.jpg"):
        match_results(make(tmp_path / "three", "a.png", "a.webp"), pairs[:1])
    same = [Pair("p/a.jpg", "x.png"), Pair("q/a.jpg", "y.png")]
    with pytest.raises(InputError, match=r"expected a result of p/a.jpg by x.png, such as p/a.png"):
        match_results(by_source, same)  # which of both a.png is a result of, nobody knows
    before = content_of(by_source)
    (tmp_path / "one" / "a.png").write_bytes(b"other")
    assert content_of(by_source) != before


def test_options_name_rows_and_metrics() -> None:
    assert [(row.name, row.results) for row in rows_of(["theirs=/a/b", "/c/Some Run"])] == [
        ("theirs", "/a/b"),
        ("some-run", "/c/Some Run"),
    ]
    assert split_metrics("standard, fid,style") == (("standard", "style"), ("fid",))
    with pytest.raises(ConfigError, match="--results A=/x: name: expected lower-case"):
        rows_of(["A=/x"])


def test_a_schedule_compares_with_the_day_before(tmp_path: Path) -> None:
    today, pattern = datetime.date(2026, 3, 2), str(tmp_path / "n-{date}")
    assert dated(pattern, "previous", today) == (str(tmp_path / "n-2026-03-02"), None)
    for day in ("2026-02-27", "2026-03-01", "2026-03-02", "2026-03-03"):
        (tmp_path / f"n-{day}" / "tables").mkdir(parents=True)
        (tmp_path / f"n-{day}" / "tables" / "evaluation.parquet").touch()
    assert dated(pattern, "previous", today)[1] == str(tmp_path / "n-2026-03-01")
    assert dated("x", "y", today) == ("x", "y")


def test_columns_keep_their_types_without_rows() -> None:
    assert not len(frame_of([])) and re.match("float", str(frame_of([])["value"].dtype))
    assert isinstance(frame_of(rows("a", [1.0]))["n"].dtype, pd.Int64Dtype)


def test_settings_reach_the_rows_that_they_name() -> None:
    suite = load_suite("translation-celebahq")
    said = ["cocosnet*:options.labels=maps", "oeft:oeft.iterations=3", "inversion.seeds = 2"]
    found = {row.name: row.set for row in changed(suite, None, None, None, None, [], said).methods}
    assert found["cocosnet-warp"] == {"options.output": "warp", "options.labels": "maps", "inversion.seeds": "2"}
    assert found["oeft"]["oeft.iterations"] == "3" and "oeft.iterations" not in found["mgi"]
    for wrong, message in (("mgi:steps", r"expected \[ROW:\]SECTION.KEY=VALUE"), ("x:a.b=1", "no row is called x;")):
        with pytest.raises(ConfigError, match=message):
            changed(suite, None, None, None, None, [], [wrong])
