"""Damage at rest: flipped bits, cut files and deleted files of every kind that a run has are noticed and healed."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from marked import change, every_marker, forget, markers
from numcodecs.zstd import Zstd
from runs import edited, make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from storage.blocks.shards import read_shard, write_shard
from storage.run_header import NoRun
from storage.run_store import RunStore
from tasks.damage import examine
from tasks.stages.ledger import Ledger
from tasks.unit import OpenRun

UNCHECKED = {".boot", ".inputs.json", ".lock", "log.jsonl"}
"""Nothing is computed from the log and the lock; the other two are made again from the markers."""
FATAL = {"run.json", "plan.parquet"}
"""What no stage can make again."""
ROWS = 64
"""Pairs of a block."""
Damage = bytes | None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of two pairs by three hypotheses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
        folder = make_inputs(tmp_path_factory.mktemp("damage") / "in", 2)
        places = (folder / "sources", folder / "exemplars", "--out", folder / "run", "--profile", folder / "stub.toml")
        assert mgi("translate", *places, "--workers", 0, "--metrics", "l2").exit_code == 0
        yield folder / "run"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def mgi(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files(run: Path) -> dict[str, bytes]:
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in UNCHECKED
    }


def lasting(run: Path) -> dict[str, bytes]:
    """What a repaired run has as it was: all but times, and the preview, which is only an early look."""
    kinds = (".png", ".jpg", "json", ".0", ".parquet")
    unlike = re.compile(r"^(done/|tables/|preview\.png)")
    return {name: data for name, data in files(run).items() if name.endswith(kinds) and not unlike.match(name)}


def kind(name: str) -> str:
    """A file's name without pair, hypothesis and row."""
    return re.sub(r"[se]\d\d__[^/.]*|L0\dN0\d|c\.\d", "*", name)


def damages(data: bytes, flips: int, seed: str) -> Iterator[Damage]:
    draw = random.Random(seed)
    yield from (None, b"", data[: len(data) // 2], data[:-1])
    for _ in range(flips):
        position, bit = draw.randrange(len(data)), 1 << draw.randrange(8)
        yield data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]


def put(path: Path, data: Damage) -> None:
    path.unlink() if data is None else path.write_bytes(data)


def named(run: Path) -> str:
    """What is found in a run, in lines."""
    try:
        return "\n".join(damage.said for damage in examine(Ledger(OpenRun(RunStore.open(run)))).damages)
    except NoRun as error:
        return str(error)


def unnoticed(run: Path, names: list[str], flips: int) -> list[str]:
    whole = files(run)
    missed = []
    for name in names:
        for number, damage in enumerate(damages(whole[name], flips, name)):
            put(run / name, damage)
            said = named(run)
            noticed = str(run / name) in said or f"it has no {name}" in said
            if not noticed and not (damage and "/c." in name and same_values(run / name, whole[name])):
                missed.append(f"{name}, damage {number}")
            (run / name).write_bytes(whole[name])
    assert named(run) == ""
    return missed


def same_values(shard: Path, whole: bytes) -> bool:
    """A few bits of a chunk's frame mean nothing: the same values come out, under the same hash."""
    pieces = read_shard(shard, ROWS)
    shard.write_bytes(whole)
    before = read_shard(shard, ROWS)
    return pieces.keys() == before.keys() and all(Zstd().decode(pieces[n]) == Zstd().decode(before[n]) for n in before)


def one_of_each_kind(run: Path) -> list[str]:
    return list({kind(name): name for name in files(run)}.values())


def test_no_damage_in_any_kind_of_file_goes_unnoticed(run: Path) -> None:
    names = one_of_each_kind(run)
    assert len(names) > 25
    assert unnoticed(run, names, flips=3) == []


@pytest.mark.soak
def test_no_damage_in_any_file_goes_unnoticed(run: Path) -> None:
    assert unnoticed(run, list(files(run)), flips=60) == []


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


def unfinished(run: Path) -> Path:
    """The choice of the first pair is left to do; returns its result."""
    final = sorted((run / "final").iterdir())[0]
    final.unlink()
    return final


def lose_first(shard: Path) -> None:
    """The chunk of the first pair is gone."""
    pieces = read_shard(shard, ROWS)
    write_shard(shard, {1: pieces[1]}, ROWS)


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_chunk_that_is_read_is_checked_and_heals_with_retry(run: Path, damage: str) -> None:
    before = lasting(run)
    final = unfinished(run)
    for hypothesis in (run / "run.zarr" / "latents").iterdir():
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
    marker.write_text(marker.read_text().replace('"failed": null', '"failed": true'))
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


def test_a_damaged_loss_curve_stops_no_report(run: Path) -> None:
    for shard in (run / "run.zarr" / "loss").glob("*/c.*"):
        shard.write_bytes(b"nonsense")
    shutil.rmtree(run / "report")
    reported = mgi("report", run)
    assert reported.exit_code == 0, reported.output


def test_a_report_is_not_built_on_a_damaged_marker(run: Path) -> None:
    record = run / "done" / "blocks" / "000000.jsonl"
    record.write_bytes(record.read_bytes().replace(b'"measures"', b'"neasures"', 1))
    reported = mgi("report", run)
    assert reported.exit_code == 1 and str(record) in reported.output
    assert mgi("status", run).exit_code == 0


def test_markers_and_headers_of_earlier_versions_have_no_seal(run: Path) -> None:
    for stage in RunStore.open(run).markers.stages():
        change(run, stage, lambda content: None)
    shutil.rmtree(run / "done" / "blocks")
    for path in (run / "run.json", *(run / "done").rglob("*.json")):
        edited(path, lambda text: text)
        unsealed = re.sub(r',\n "seal": "\w+"', "", path.read_text())
        path.write_text(unsealed.replace('"format": 4', '"format": 2'))
    assert named(run) == ""
    assert "nothing to compute" in mgi("resume", run, "--workers", 0).output


def test_weights_that_were_replaced_are_refused_by_resume(run: Path) -> None:
    weights = RunStore.open(run).header["weights"]
    name = next(name for name, digest in weights.items() if digest)
    edited(run / "run.json", lambda text: text.replace(weights[name], "0" * 64))
    before = files(run)
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 2 and f"weights.{name}" in resumed.output, resumed.output
    assert files(run) == before
