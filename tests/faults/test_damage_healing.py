"""Damage at rest is healed: what a damaged file belongs to is made again, to the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from damaged import FATAL, ROWS, files, lasting, lose_first, make_run, mgi, named, one_of_each_kind, put, unfinished
from marked import change, every_marker, forget, markers

from storage.blocks.shards import read_shard, write_shard
from storage.run_store import RunStore


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
        yield make_run(tmp_path_factory.mktemp("damage"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def test_what_was_damaged_is_made_again_to_the_same_bytes(run: Path) -> None:
    before = lasting(run)
    assert len(before) > 40
    for number, name in enumerate(sorted(set(one_of_each_kind(run)) - FATAL)):
        data = (run / name).read_bytes()
        put(run / name, [None, data[:-1], bytes([data[0] ^ 1]) + data[1:]][number % 3])
    found = mgi("verify", run)
    assert found.exit_code == 1
    assert mgi("verify", run, "--repair").exit_code == 1
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 0, resumed.output
    clean = mgi("verify", run)
    assert clean.exit_code == 0, clean.output
    assert lasting(run) == before


@pytest.mark.parametrize("name", sorted(FATAL))
def test_what_no_stage_makes_is_one_line_and_nothing_is_computed(run: Path, name: str) -> None:
    data = (run / name).read_bytes()
    put(run / name, data.replace(b'"seed": 0', b'"seed": 4') if name == "run.json" else data[:-100] + data[-99:])
    before = files(run)
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 2 and len(resumed.output.splitlines()) == 1, resumed.output
    assert str(run / name) in resumed.output
    assert mgi("verify", run, "--repair").exit_code == 1
    assert files(run) == before


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_chunk_that_is_read_is_checked_and_heals_with_retry(run: Path, damage: str) -> None:
    before = lasting(run)
    final = unfinished(run)
    for hypothesis in (run / "run.zarr" / "latents").glob("L*"):
        if hypothesis.is_dir():
            shard = hypothesis / "c.0.0"
            pieces = read_shard(shard, ROWS)
            other = {} if damage == "gone" else {0: pieces[1]}  # whole, and of another pair
            write_shard(shard, {1: pieces[1], **other}, ROWS)
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 3 and not final.exists(), resumed.output
    (line,) = [line for line in resumed.output.splitlines() if line.startswith("quarantined:")]
    assert "c.0.0 is " in line and "mgi verify" in line
    again = mgi("resume", run, "--workers", 0, "--retry")
    assert again.exit_code == 0, again.output
    assert lasting(run) == before


def test_a_damaged_warp_is_no_failure_of_hypotheses_or_metrics(run: Path) -> None:
    before = lasting(run)
    (lane,) = (key for key in markers(run, "invert") if key.startswith("s00") and key.endswith("L05N02"))
    forget(run, "invert", lane)
    forget(run, "score", lane.partition(".")[0])
    lose_first(run / "run.zarr" / "warp" / "warp" / "c.0.0.0.0")
    assert mgi("resume", run, "--workers", 0).exit_code == 3
    assert lane not in markers(run, "invert")
    again = mgi("resume", run, "--workers", 0, "--retry")
    assert again.exit_code == 0, again.output
    assert lasting(run) == before
    lose_first(run / "run.zarr" / "warp" / "source" / "c.0.0.0.0")
    measured = mgi("resume", run, "--workers", 0, "--metrics", "l2,ssim")
    assert measured.exit_code == 3, measured.output
    assert mgi("resume", run, "--workers", 0, "--retry").exit_code == 0


def test_a_changed_marker_is_a_unit_that_is_computed_again(run: Path) -> None:
    before = lasting(run)
    unfinished(run)
    record = run / "done" / "blocks" / "000000.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    lane = next(number for number, line in enumerate(lines) if b'"stage":"invert"' in line)
    lines[lane] = lines[lane].replace(b'"failed":null', b'"failed":true')
    record.write_bytes(b"".join(lines))
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 0 and f"{record} is damaged" in resumed.output, resumed.output
    assert "1 invert" in resumed.output, "one line is one unit"
    assert lasting(run) == before
    assert mgi("verify", run).exit_code == 0


def test_a_changed_marker_with_a_file_of_its_own_is_computed_again(run: Path) -> None:
    before = lasting(run)
    unfinished(run)
    change(run, "invert", lambda content: None)  # as they are before their block is packed
    marker = sorted((run / "done" / "invert").iterdir())[0]
    marker.write_text(marker.read_text().replace('"failed":null', '"failed":true'))
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 0 and f"{marker} is damaged" in resumed.output, resumed.output
    assert lasting(run) == before
    assert mgi("verify", run).exit_code == 0


def test_a_damaged_head_of_a_record_costs_no_unit(run: Path) -> None:
    before, units = lasting(run), every_marker(run)
    record = run / "done" / "blocks" / "000000.jsonl"
    record.write_bytes(record.read_bytes().replace(b'"summary"', b'"sunmary"', 1))
    assert every_marker(run) == units and mgi("status", run).exit_code == 0
    assert "nothing to compute" in mgi("resume", run, "--workers", 0).output
    found = mgi("verify", run, "--repair")
    assert found.exit_code == 1 and f"{record} is damaged" in found.output, found.output
    assert mgi("verify", run).exit_code == 0 and every_marker(run) == units
    assert mgi("resume", run, "--workers", 0).exit_code == 0 and lasting(run) == before


def test_a_damaged_list_of_what_was_set_aside_is_named_and_tried_again(run: Path) -> None:
    RunStore.open(run).quarantine("s00__e00__1", "warp", "its picture is cut off")
    path = run / "quarantine.csv"
    assert named(run) == ""
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"cut off", b"cut 0ff"))
    assert str(path) in named(run)
    assert mgi("verify", run, "--repair").exit_code == 1
    assert RunStore.open(run).quarantined() == {} and named(run) == ""
    path.write_bytes(whole[:-10])
    assert str(path) in named(run)


def test_resume_check_looks_at_finished_results(run: Path) -> None:
    before = lasting(run)
    final = sorted((run / "final").iterdir())[0]
    put(final, before[f"final/{final.name}"][:-1])
    assert "nothing to compute" in mgi("resume", run, "--workers", 0).output
    checked = mgi("resume", run, "--workers", 0, "--check")
    assert checked.exit_code == 0 and str(final) in checked.output, checked.output
    assert lasting(run) == before
