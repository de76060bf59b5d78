"""Evaluations of what is there: other programs' pictures, runs, two folders, and changes between evaluations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from runs import make_inputs
from small_suite import evaluated, mgi, suite_file

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    return make_inputs(tmp_path / "inputs", 2)


def test_pictures_of_another_program_are_a_row(inputs: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for number in range(2):
        shutil.copy(inputs / "exemplars" / f"e{number:02d}.png", theirs / f"s{number:02d}.png")
    sides = ("--sources", inputs / "sources", "--exemplars", inputs / "exemplars")
    asked = ("evaluate", "--results", f"other={theirs}", *sides, "--out", tmp_path / "out", "--metrics", "psnr,swd")
    refused = mgi(*asked)
    assert refused.exit_code == 3 and "other: 2 pairs in quarantine" in refused.output  # 36 x 40 is not square
    from PIL import Image

    for path in theirs.iterdir():
        Image.open(path).resize((64, 64)).save(path)
    done = mgi(*asked)
    assert done.exit_code == 0, done.output
    table = evaluated(tmp_path / "out")
    assert list(table["method"].unique()) == ["other"] and set(table["metric"]) == {"psnr", "swd"}
    (theirs / "s01.png").unlink()
    missing = mgi(*asked)
    assert missing.exit_code == 2 and "expected a result of s01.png by e01.png" in missing.output


def test_runs_that_are_there_are_measured(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "a"
    translate = ("translate", inputs / "sources", inputs / "exemplars", "--out", run, "--profile", inputs / "stub.toml")
    assert mgi(*translate, "--metrics", "l2", "--workers", "0").exit_code == 0
    done = mgi("evaluate", run, "--out", tmp_path / "out", "--metrics", "psnr,swd")
    assert done.exit_code == 0, done.output
    assert set(evaluated(tmp_path / "out")["metric"]) - {"parameters"} == {
        "l2",
        "psnr",
        "swd",
        "seconds",
        "working-memory",
    }
    before = evaluated(tmp_path / "out")
    (tmp_path / "out" / "tables" / "evaluation.parquet").unlink()
    assert mgi("evaluate", tmp_path / "out").exit_code == 0  # by its name alone, as an evaluation of a suite
    assert evaluated(tmp_path / "out").equals(before)
    refused = mgi("evaluate", tmp_path / "out", "--limit", "1")
    assert refused.exit_code == 2 and "--limit: runs have their pairs" in refused.output
    dry = mgi("evaluate", run, "--out", tmp_path / "dry", "--metrics", "psnr,swd", "--dry-run")
    assert dry.exit_code == 0 and f"2 pairs of {run}" in dry.stdout and "psnr, swd" in dry.stdout, dry.output
    assert not (tmp_path / "dry").exists()
    for option in ("--limit=1", "--methods=a", f"--sources={inputs}", f"--results=b={inputs}"):
        unused = mgi("evaluate", run, "--out", tmp_path / "out", option)
        assert unused.exit_code == 2 and f"{option.partition('=')[0]}: runs have their pairs" in unused.output
    shutil.copytree(run, tmp_path / "b" / "a")
    twice = mgi("evaluate", run, tmp_path / "b" / "a", "--out", tmp_path / "twice")
    assert twice.exit_code == 2 and "two runs are called a, " in twice.output and not (tmp_path / "twice").exists()
    again = mgi("evaluate", run, "--out", tmp_path / "again", "--metrics", "psnr,swd", "--baseline", tmp_path / "out")
    assert again.exit_code == 0, again.output
    nobody = mgi("evaluate", run, tmp_path, "--out", tmp_path / "out")
    assert nobody.exit_code == 2 and "is no run" in nobody.output


def test_runs_of_other_pictures_are_compared_with_their_own(inputs: Path, tmp_path: Path) -> None:
    others = make_inputs(tmp_path / "others", 3)
    sides = {name: (folder / "sources", folder / "exemplars") for name, folder in (("a", inputs), ("b", others))}
    profile = ("--profile", inputs / "stub.toml", "--metrics", "l2", "--workers", "0")
    for name, folders in sides.items():
        assert mgi("translate", *folders, "--out", tmp_path / name, *profile).exit_code == 0
    again = mgi("translate", *sides["a"], "--out", tmp_path / "fewer", "--limit", "1", *profile)
    inverted = mgi("invert", sides["b"][0], "--out", tmp_path / "inverted", "--method", "mgi", *profile)
    assert again.exit_code == inverted.exit_code == 0, inverted.output
    runs = [tmp_path / name for name in ("a", "b", "fewer", "inverted")]
    done = mgi("evaluate", *runs, "--out", tmp_path / "out", "--metrics", "swd")
    assert done.exit_code == 0, done.output
    table = evaluated(tmp_path / "out").set_index(["method", "metric"])
    assert [table.loc[(run.name, "swd"), "reference"] for run in runs] == [
        "2 exemplars, aligned",
        "3 exemplars, aligned",
        "2 exemplars, aligned",
        "3 sources, aligned",
    ]


def test_a_regression_ends_the_command_with_1(inputs: Path, tmp_path: Path) -> None:
    for number in range(2, 12):  # two pairs prove nothing
        for side in ("sources", "exemplars"):
            shutil.copy(inputs / side / f"{side[0]}00.png", inputs / side / f"{side[0]}{number:02d}.png")
    suite, before, after = suite_file(inputs, sets="[]"), tmp_path / "before", tmp_path / "after"
    assert mgi("evaluate", suite, "--out", before).exit_code == 0
    table = evaluated(before)
    table.loc[table["metric"] == "l2", "value"] -= 0.5  # as if the results had been better once
    table.to_parquet(before / "tables" / "evaluation.parquet")
    done = mgi("evaluate", suite, "--out", after, "--baseline", before)
    assert done.exit_code == 1 and "worse than before: mgi l2" in done.output
    compared = mgi("compare", before, after)
    assert compared.exit_code == 1 and "mgi: 1 of 3 numbers got worse: mgi l2" in compared.output
    assert mgi("compare", after, before).exit_code == 0 and mgi("compare", before, before, "--json").exit_code == 0
    assert mgi("compare", before, after, "--tolerance", "99").exit_code == 0
    refused = mgi(
        *("evaluate", suite_file(inputs, 'name = "mganprior"'), "--out", tmp_path / "x", "--baseline", before)
    )
    assert refused.exit_code == 2 and "one of the rows mganprior, found mgi" in refused.output
    assert not (tmp_path / "x" / "rows").exists()
    table["pair_id"] += "-of-another-folder"
    table.to_parquet(before / "tables" / "evaluation.parquet")
    apart = mgi("compare", before, after)
    assert apart.exit_code == 2 and "found no pair that both have" in apart.output
    board = mgi("leaderboard", before, after)
    assert board.exit_code == 0 and board.stdout.count("| mgi |") == 2 and "*" in board.stdout
    lost = evaluated(after)
    lost.loc[lost["metric"] == "l2", ["value", "status"]] = [float("nan"), "failed: too dark"]
    lost.to_parquet(after / "tables" / "evaluation.parquet")
    compared = mgi("compare", before, after)
    assert compared.exit_code == 1 and "measured before and not now: mgi l2: failed: too dark" in compared.output


def test_a_damaged_table_is_no_regression(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for name in ("tables/evaluation.parquet", "evaluation.json"):
        (tmp_path / name).write_text("garbage")
    for command in (("compare", tmp_path, tmp_path), ("leaderboard", tmp_path), ("evaluate", tmp_path)):
        done = mgi(*command)
        assert done.exit_code == 2 and "cannot be read" in done.output and done.output.count("\n") == 1, done.output


def test_two_folders_have_a_distance(inputs: Path) -> None:
    done = mgi("compare-sets", inputs / "sources", inputs / "exemplars", "--metric", "swd")
    assert done.exit_code == 0 and "swd" in done.stdout and "2 and 2 pictures" in done.stdout, done.output
    same = mgi("compare-sets", inputs / "sources", inputs / "sources", "--metric", "swd", "--json")
    assert json.loads(same.stdout)["distances"][0]["value"] == 0
    two = mgi("compare-sets", inputs / "sources", inputs / "sources", "--metric", "swd, swd,,", "--json")
    assert [found["metric"] for found in json.loads(two.stdout)["distances"]] == ["swd"]
    pair = mgi("compare-sets", inputs / "sources", inputs / "exemplars", "--metric", "psnr")
    assert pair.exit_code == 2 and "expected a metric of whole sets" in pair.output
