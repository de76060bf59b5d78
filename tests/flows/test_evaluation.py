"""Evaluations of suites: rows are runs, what is done stays done, what is missing says so."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import make_inputs
from small_suite import evaluated, mgi, suite_file

from flows.evaluation import evaluate_suite
from flows.progress import Silent
from mgi.config import ConfigError
from mgi.images import resize, to_float, to_uint8
from mgi.weights import WeightsMissing, zoo
from storage.images import read_image
from storage.run_store import RunStore
from tasks.suites.suite import Suite
from tasks.unit import picture

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    return make_inputs(tmp_path / "inputs", 2)


def stamps(out: Path) -> dict[str, int]:
    """{result: when it was written} of all rows."""
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.glob("rows/*/final/*.png")}


def test_every_row_of_a_suite_has_its_numbers_and_the_page_shows_them(inputs: Path, tmp_path: Path) -> None:
    single = 'name = "single"\nhypotheses_of = "mgi"'
    warps = 'name = "warp"\nwarps_of = "mgi"'
    suite, out = suite_file(inputs, 'name = "mgi"', single, warps, 'name = "mganprior"'), tmp_path / "out"
    done = mgi("evaluate", suite, "--out", out)
    assert done.exit_code == 0, done.output
    table = evaluated(out)
    names = ["mgi", "single-l04n03", "single-l05n02", "single-l06n04", "warp", "mganprior"]
    assert list(table["method"].unique()) == names
    assert (table[table["metric"] == "l2"].groupby("method").size().reindex(["mgi", "mganprior"]) == 2).all()
    assert len(table[table["metric"] == "swd"]) == 6 and table[table["metric"] == "swd"]["value"].gt(0).all()
    assert set(table[table["metric"] == "seconds"]["method"]) == {"mgi", "mganprior"}
    assert set(table["data_set"]) == {"small"} and set(table["files"].dropna()) == {"PNG"}
    assert set(table[table["metric"] == "parameters"]["method"]) <= {"mgi", "mganprior"}
    (run,), (warped,) = out.glob("rows/mgi-*"), out.glob("rows/warp-*")
    store = RunStore.open(run)
    for pair_id in store.pair_ids():
        small = to_float(picture(store, pair_id, "warp"))
        expected = to_uint8(resize(small, 4 * small.shape[-1]))[0]
        assert np.array_equal(read_image(str(warped / "final" / f"{pair_id}.png")).pixels, expected)
    page = (out / "evaluation.html").read_text()
    assert all(name in page for name in names) and "figures/grid.png" in page
    assert (out / "tables" / "pairs.tex").read_text().startswith(r"\begin{tabular}")
    chosen = json.loads((out / "evaluation.json").read_text())
    assert chosen["name"] == "small" and chosen["data"]["sources"] == str(inputs / "sources")
    assert "| mgi |" in done.stdout and f"report: {out}/evaluation.html" in done.stdout


def test_what_is_done_stays_and_only_what_changes_is_computed(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert mgi("evaluate", suite_file(inputs), "--out", out).exit_code == 0
    first = stamps(out)
    assert mgi("evaluate", out).exit_code == 0 and stamps(out) == first  # an evaluation goes on by its folder alone
    more = suite_file(inputs, 'name = "mgi"', 'name = "mganprior"', metrics='["l2", "psnr"]')
    assert mgi("evaluate", more, "--out", out).exit_code == 0
    assert first.items() < stamps(out).items() and len(stamps(out)) == 4
    assert set(evaluated(out)["metric"].dropna()) - {"parameters", "working-memory"} == {"l2", "psnr", "swd", "seconds"}
    changed = suite_file(inputs, 'name = "mgi"\nset = { "inversion.steps" = 4 }', 'name = "mganprior"')
    assert mgi("evaluate", changed, "--out", out).exit_code == 0
    assert len(stamps(out)) == 6 and first.items() < stamps(out).items()  # the old row is kept beside the new one
    assert len(evaluated(out)[evaluated(out)["metric"] == "l2"]) == 4


def test_a_row_whose_weights_were_replaced_is_made_anew(inputs: Path, tmp_path: Path, monkeypatch: Any) -> None:
    suite, out = suite_file(inputs, 'name = "mgi"', 'name = "style-transfer"'), tmp_path / "out"
    assert mgi("evaluate", suite, "--out", out).exit_code == 0
    first = stamps(out)
    from tasks.stages import plan
    from tasks.suites import rows

    real = plan.weight_hashes

    def replaced(config: Any) -> dict[str, str]:
        found = real(config)
        return {name: "0" * 64 if name == config.generator else sha256 for name, sha256 in found.items()}

    for module in (plan, rows, importlib.import_module("tasks.growth"), importlib.import_module("flows.pipeline")):
        monkeypatch.setattr(module, "weight_hashes", replaced)
    done = mgi("evaluate", suite, "--out", out)
    assert done.exit_code == 0, done.output
    assert first.items() < stamps(out).items() and len(stamps(out)) == 6  # style transfer needs no generator


def test_a_killed_evaluation_goes_on_where_it_was(inputs: Path, tmp_path: Path, monkeypatch: Any) -> None:
    suite, out = suite_file(inputs, 'name = "mgi"', 'name = "mganprior"'), tmp_path / "out"
    import flows.evaluation as evaluation

    real = evaluation.translate_run

    def dies(request: Any, *arguments: Any, **more: Any) -> Any:
        if request.config.method == "mganprior":
            raise KeyboardInterrupt
        return real(request, *arguments, **more)

    monkeypatch.setattr(evaluation, "translate_run", dies)
    assert mgi("evaluate", suite, "--out", out).exit_code == 130
    first = stamps(out)
    assert len(first) == 2 and not (out / "evaluation.html").exists()
    monkeypatch.undo()
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    assert mgi("evaluate", out).exit_code == 0
    assert first.items() < stamps(out).items() and len(stamps(out)) == 4


def test_a_row_without_its_weights_is_a_row_that_says_so(inputs: Path, tmp_path: Path, monkeypatch: Any) -> None:
    suite, out = suite_file(inputs, 'name = "mganprior"', 'name = "mgi"'), tmp_path / "out"
    import flows.evaluation as evaluation

    real = evaluation.translate_run

    def without(request: Any, *arguments: Any, **more: Any) -> Any:
        if request.config.method == "mganprior":
            raise WeightsMissing("pggan-celebahq-1024 is missing")
        return real(request, *arguments, **more)

    monkeypatch.setattr(evaluation, "translate_run", without)
    done = mgi("evaluate", suite, "--out", out)
    assert done.exit_code == 0
    assert "| mganprior | not run: weights missing (pggan-celebahq-1024 is missing)" in done.stdout
    assert list(evaluated(out)["method"].unique()) == ["mgi", "mganprior"]
    assert "not run: weights missing" in (out / "evaluation.html").read_text()
    assert mgi("evaluate", suite, "--out", tmp_path / "none", "--methods", "mganprior").exit_code == 0
    board = mgi("leaderboard", tmp_path / "none")
    assert board.exit_code == 0 and "| evaluation | method |" in board.stdout, board.output


def test_a_set_metric_without_its_network_says_so(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = mgi("evaluate", suite_file(inputs, sets='["fid", "swd"]'), "--out", out)
    assert done.exit_code == 0, done.output
    fid = evaluated(out)[evaluated(out)["metric"] == "fid"]
    assert list(fid["status"]) == ["not run: weights inception-fid missing"] and fid["value"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--out is missing"),
        (("--out", "x", "--methods", "oeft"), "--methods: no row is called oeft; expected some of mgi, single"),
        (("--out", "x", "--metrics", "beauty"), "unknown metric 'beauty'"),
        (("--out", "x", "--sources", "/nowhere"), "folder /nowhere does not exist"),
        (("--out", "x", "--results", "mgi=/nowhere"), "two rows are called mgi"),
        (("--out", "x", "--baseline", "/nowhere"), "/nowhere: expected an evaluation"),
        (("--out", "x", "--reference", "/nowhere"), "folder /nowhere does not exist"),
        (("--out", "x", "--methods", "single"), "--methods: single takes its pictures from mgi; name mgi, too"),
    ],
)
def test_what_cannot_be_used_is_one_line_before_any_work(
    inputs: Path, tmp_path: Path, monkeypatch: Any, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    suite = suite_file(inputs, 'name = "mgi"', 'name = "single"\nhypotheses_of = "mgi"')
    done = mgi("evaluate", suite, *arguments)
    assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output
    assert not list(tmp_path.glob("x/rows/*"))


def test_an_unknown_method_is_named(inputs: Path, tmp_path: Path) -> None:
    done = mgi("evaluate", suite_file(inputs, 'name = "colourise"'), "--out", tmp_path / "out")
    assert done.exit_code == 2 and "methods.colourise: unknown method 'colourise'" in done.output


def test_a_dry_run_writes_nothing(inputs: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(zoo, "absent", lambda item: "mgi weights fetch it" if item.name == "inception-fid" else "")
    suite = suite_file(inputs, 'name = "mgi"', 'name = "single"\nhypotheses_of = "mgi"', sets='["fid", "swd", "kid"]')
    done = mgi("evaluate", suite, "--out", tmp_path / "out", "--dry-run")
    assert "missing     inception-fid for fid, kid: `mgi weights fetch it`" in done.stdout, done.output
    assert "single-l04n03         2 pairs, pictures of mgi" in done.stdout
    assert done.exit_code == 0 and "mgi" in done.stdout and "nothing was written" in done.stdout, done.output
    assert not (tmp_path / "out").exists()


def test_inversions_are_compared_with_their_pictures(inputs: Path, tmp_path: Path) -> None:
    suite, out = (
        suite_file(inputs, 'name = "mgi"', 'name = "mganprior"', metrics='["psnr", "ms-ssim"]'),
        tmp_path / "out",
    )
    text = suite.read_text().replace('name = "small"', 'name = "small"\ntask = "invert"\nreference = "sources"', 1)
    suite.write_text(text)
    done = mgi("evaluate", suite, "--out", out)
    assert done.exit_code == 0, done.output
    table = evaluated(out)
    assert set(table["metric"]) - {"parameters", "working-memory"} == {"psnr", "ms-ssim", "swd", "seconds"}
    assert table[table["metric"] == "swd"]["reference"].eq("2 sources, aligned").all()
    assert (table[table["metric"] == "psnr"].groupby("method").size() == 2).all()


def test_a_dry_run_names_what_the_user_has_to_bring(inputs: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("MGI_METHOD_FACTORY")
    done = mgi("evaluate", suite_file(inputs, 'name = "adain"'), "--out", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0 and "2 pairs, not run: adain: expected options.encoder" in done.stdout, done.output


def test_more_pairs_are_added_to_every_row_and_what_was_done_stays(tmp_path: Path) -> None:
    inputs, out = make_inputs(tmp_path / "inputs", 3), tmp_path / "out"
    suite = suite_file(inputs, 'name = "mgi"', 'name = "single"\nhypotheses_of = "mgi"', 'name = "mganprior"')
    assert mgi("evaluate", suite, "--out", out, "--limit", "1").exit_code == 0
    first = stamps(out)
    assert len(first) == 5  # mgi, three hypotheses, mganprior
    assert mgi("evaluate", suite, "--out", out, "--limit", "3").exit_code == 0
    assert len(stamps(out)) == 15 and first.items() < stamps(out).items()
    table = evaluated(out)
    assert set(table[table["metric"] == "l2"].groupby("method").size()) == {3}
    done = stamps(out)
    assert mgi("evaluate", suite, "--out", out, "--limit", "2").exit_code == 0 and stamps(out) == done
    (inputs / "sources" / "s01.png").write_bytes((inputs / "sources" / "s00.png").read_bytes())
    assert mgi("evaluate", suite, "--out", out, "--limit", "3").exit_code == 0
    changed = {name for name, when in stamps(out).items() if done[name] != when}
    assert len(changed) == 5 and all("s01" in name for name in changed)


def test_nothing_is_drawn_for_a_suite_that_cannot_be_run(tmp_path: Path) -> None:
    data = {"generator": "no-such-generator", "limit": 2}  # which would be an error of its own
    suite = Suite.model_validate({"name": "x", "data": data, "methods": [{"name": "colourise"}]})
    with pytest.raises(ValueError, match=r"unknown method 'colourise'"):
        evaluate_suite(suite, str(tmp_path / "out"), 0, None, Silent())
    assert not (tmp_path / "out").exists()


def test_a_suite_without_data_asks_for_it(tmp_path: Path) -> None:
    suite = Suite.model_validate({"name": "x", "data": {"where": "example.org"}, "methods": [{"name": "mgi"}]})
    with pytest.raises(ConfigError, match=r"suite x: expected a folder of sources \(example.org\); give it as --sour"):
        evaluate_suite(suite, str(tmp_path / "out"), 0, None, Silent())


def test_suites_are_listed_and_shown() -> None:
    assert "kaokore" in mgi("suites").stdout
    shown = mgi("suites", "kaokore").stdout
    assert "CC BY-SA 4.0" in shown and "mgi-single" in shown


@pytest.mark.slow
def test_samples_of_a_generator_are_drawn_once(inputs: Path, tmp_path: Path) -> None:
    from mgi.weights import WeightsError, path

    try:
        path("kaokore")
    except WeightsError as error:
        pytest.skip(str(error))
    suite, out = suite_file(inputs), tmp_path / "out"
    folders = 'sources = "sources"\nexemplars = "exemplars"\n'
    suite.write_text(suite.read_text().replace(folders, 'generator = "kaokore"\nlimit = 2\nseed = 3\n'))
    assert mgi("evaluate", suite, "--out", out).exit_code == 0
    pictures = sorted((out / "data").rglob("*.png"))
    assert [str(path.relative_to(out / "data")) for path in pictures] == [
        f"{side}/0000{number}.png" for side in ("exemplars", "sources") for number in (0, 1)
    ]
    first = [(path.stat().st_mtime_ns, path.read_bytes()) for path in pictures]
    assert len({data for _, data in first}) == 4
    pictures[2].unlink()
    assert mgi("evaluate", out, "--limit", "3").exit_code == 0
    assert len(list((out / "data").rglob("*.png"))) == 6
    again = [(path.stat().st_mtime_ns, path.read_bytes()) for path in pictures]
    assert [data for _, data in again] == [data for _, data in first] and again[0] == first[0]
