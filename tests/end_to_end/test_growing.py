"""`mgi translate --extend`: pairs are added, and the run is the one that had them from the beginning."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from growing import check_kept, chunks, computed, mgi, translate, units
from PIL import Image
from runs import environment, make_inputs, results, translate_command

from storage.run_store import RunStore

pytestmark = pytest.mark.usefixtures("stub")

HELD = 3


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Five images a side."""
    return make_inputs(tmp_path / "inputs", 5)


@pytest.fixture
def fewer(inputs: Path) -> Path:
    """Inputs of which the last images are held back, in `later/`."""
    for side in ("sources", "exemplars"):
        (inputs / "later" / side).mkdir(parents=True)
        for path in sorted((inputs / side).iterdir())[HELD:]:
            path.rename(inputs / "later" / side / path.name)
    return inputs


def bring(inputs: Path) -> None:
    for path in list((inputs / "later").glob("*/*.png")):
        path.rename(inputs / path.parent.name / path.name)


def test_more_files_add_pairs_and_the_run_is_as_if_begun_with_all(fewer: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(fewer, run)
    old, before = chunks(run), units(run)
    bring(fewer)
    refused = translate(fewer, run, code=2)
    assert "pairs: 3 -> 5, among them" in refused.stderr and "--extend adds what is new" in refused.stderr
    extended = translate(fewer, run, "--extend")
    assert "2 pairs added" in extended.stderr and "5 of 5 pairs done" in extended.stdout
    assert units(run) - before == {"warp": 2, "invert": 6, "score": 2, "select": 2}
    check_kept(old)
    translate(fewer, tmp_path / "whole")
    assert results(run) == results(tmp_path / "whole")
    for again in ((), ("--extend",)):
        assert "nothing to compute" in translate(fewer, run, *again).stdout


def test_extending_begins_a_run_where_there_is_none(inputs: Path, tmp_path: Path) -> None:
    said = translate(inputs, tmp_path / "run", "--extend")
    assert "5 of 5 pairs done" in said.stdout and "added" not in said.stderr


def test_files_that_sort_in_between_keep_old_pairs(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (inputs / "exemplars" / "e01.png").rename(inputs / "late.png")
    (inputs / "sources" / "s03.png").rename(inputs / "source.png")
    translate(inputs, run)
    old = RunStore.open(run).pair_ids()
    (inputs / "late.png").rename(inputs / "exemplars" / "e01.png")
    (inputs / "source.png").rename(inputs / "sources" / "s03.png")
    assert "1 pair added" in translate(inputs, run, "--extend").stderr
    pairs = RunStore.open(run).pairs
    assert list(pairs["id"])[:4] == old
    assert (pairs["source"].iloc[4], pairs["exemplar"].iloc[4]) == ("s03.png", "e01.png")
    assert "nothing to compute" in translate(inputs, run).stdout, "the command without --extend still continues it"
    (again,) = [line for line in (run / "report.html").read_text().splitlines() if "NEW_RUN" in line]
    assert "tables/pairs.csv" in again, "zip of the folders would give other pairs"
    translate(inputs, tmp_path / "again", "--pairing", run / "tables" / "pairs.csv")
    assert results(tmp_path / "again") == results(run)


def test_a_file_for_one_side_only_is_refused_and_changes_nothing(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run)
    header = (run / "run.json").read_bytes()
    Image.new("RGB", (40, 36), "teal").save(inputs / "sources" / "s99.png")
    refused = translate(inputs, run, "--extend", code=2)
    assert "found 1 new sources and 0 new exemplars" in refused.stderr
    assert (run / "run.json").read_bytes() == header


def test_more_rows_of_a_csv_file_add_pairs(inputs: Path, tmp_path: Path) -> None:
    run, rows = tmp_path / "run", inputs / "pairs.csv"
    with rows.open("w", newline="") as file:
        csv.writer(file).writerows([("source", "exemplar"), ("s00.png", "e03.png")])
    translate(inputs, run, "--pairing", rows)
    with rows.open("a", newline="") as file:
        csv.writer(file).writerows([("s02.png", "e03.png"), ("s00.png", "e00.png")])
    assert "2 pairs added" in translate(inputs, run, "--pairing", rows, "--extend").stderr
    assert list(RunStore.open(run).pairs["source"]) == ["s00.png", "s02.png", "s00.png"] and len(results(run)) == 3


def test_a_higher_limit_adds_pairs(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "2", "--pairing", "random")
    refused = translate(inputs, run, "--limit", "4", "--pairing", "random", code=2)
    assert "pairs: 2 -> 4" in refused.stderr
    assert "2 pairs added" in translate(inputs, run, "--limit", "4", "--pairing", "random", "--extend").stderr
    translate(inputs, tmp_path / "whole", "--limit", "4", "--pairing", "random")
    assert results(run) == results(tmp_path / "whole")
    for limit in ("2", "4"):
        assert "nothing to compute" in translate(inputs, run, "--limit", limit, "--pairing", "random").stdout


def test_pictures_are_added_to_an_inversion(inputs: Path, tmp_path: Path) -> None:
    arguments = ("invert", inputs / "sources", "--profile", inputs / "stub.toml", "--workers", "0")
    run = tmp_path / "run"
    late = inputs / "sources" / "s00.png"
    late.rename(inputs / "late.png")
    mgi(*arguments, "--out", run)
    (inputs / "late.png").rename(late)
    assert "1 pair added" in mgi(*arguments, "--out", run, "--extend").stderr
    mgi(*arguments, "--out", tmp_path / "whole")
    assert results(run) == results(tmp_path / "whole") and len(results(run)) == 5


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["warp:4", "invert:11", "score:4", "select:4"])
def test_a_growing_run_that_is_killed_is_resumed(fewer: Path, tmp_path: Path, moment: str) -> None:
    run, (stage, count) = tmp_path / "run", moment.split(":")
    translate(fewer, run)
    old = chunks(run)
    bring(fewer)
    started = subprocess.Popen(
        translate_command(fewer, run, "--workers", "0", "--extend"),
        env=environment(STUB_SECONDS="0.15"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 100
    while len(RunStore.open(run).keys_done(stage)) < int(count):
        assert started.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(started.pid, signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    mgi("resume", run, "--workers", "0")
    assert max(Counter(computed(run)).values()) == 1, "a unit was computed twice"
    check_kept(old)
    translate(fewer, tmp_path / "whole")
    assert results(run) == results(tmp_path / "whole")
