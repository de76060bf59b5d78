"""Damage at rest: flipped bits, cut files and deleted files of every kind that a run has are noticed."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from damaged import ROWS, Damage, files, make_run, mgi, named, one_of_each_kind, put
from marked import change
from numcodecs.zstd import Zstd
from runs import edited

from storage.blocks.shards import read_shard
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


def damages(data: bytes, flips: int, seed: str) -> Iterator[Damage]:
    draw = random.Random(seed)
    yield from (None, b"", data[: len(data) // 2], data[:-1])
    for _ in range(flips):
        position, bit = draw.randrange(len(data)), 1 << draw.randrange(8)
        yield data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]


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


@pytest.mark.long
def test_no_damage_in_any_kind_of_file_goes_unnoticed(run: Path) -> None:
    names = one_of_each_kind(run)
    assert len(names) > 25
    assert unnoticed(run, names, flips=3) == []


@pytest.mark.soak
def test_no_damage_in_any_file_goes_unnoticed(run: Path) -> None:
    assert unnoticed(run, list(files(run)), flips=60) == []


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
        path.write_text(unsealed.replace('"format": 5', '"format": 2'))
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
