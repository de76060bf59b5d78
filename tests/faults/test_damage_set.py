"""A choice for the whole set (rule set-fid) is made without pairs whose features are damaged, and again with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runs import make_inputs, results
from stub_method import StubMethod
from typer.testing import CliRunner, Result

from flows.cli import app
from storage.blocks.shards import read_shard, write_shard
from storage.run_store import RunStore

PAIRS = 4


@pytest.fixture(autouse=True)
def counted(stub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stub's choice depends on every pair: its value is the sum of all features, which also decides the winner."""

    def select_set(self: StubMethod, tables: list[list[dict[str, Any]]], features: Any) -> list[dict[str, Any]]:
        ids = [row["hypothesis"] for row in tables[0]]
        sums = {id: float(sum(features(n, id).astype(float).sum() for n in range(len(tables)))) for id in ids}
        winner = min(sums, key=lambda id: sums[id])
        return [{"hypothesis": winner, "rule": "set-fid", "value": sums[winner], "guarded": []} for _ in tables]

    monkeypatch.setattr(StubMethod, "select_set", select_set)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    inputs, run = make_inputs(tmp_path / "in", PAIRS), tmp_path / "run"
    made = mgi("translate", inputs / "sources", inputs / "exemplars", "--out", run, "--profile", inputs / "stub.toml",
               "--set", "selection.rule=set-fid", "--workers", 0)  # fmt: skip
    assert made.exit_code == 0, made.output
    return run


def mgi(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def choices(run: Path) -> dict[int, float]:
    """{pair's number: value of its choice}."""
    store = RunStore.open(run)
    found = {number: store.payload("select", id) for number, id in enumerate(store.pair_ids())}
    return {number: payload["value"] for number, payload in found.items() if payload is not None}


def value(run: Path, *pairs: int) -> float:
    """What the choice must come to for these pairs."""
    store = RunStore.open(run)
    ids = [path.parent.name for path in (run / "run.zarr" / "features").glob("L*/zarr.json")]
    return min(sum(float(store.read(f"features/{id}", n).astype(float).sum()) for n in pairs) for id in ids)


def unchosen(run: Path, *pairs: int) -> None:
    """The choices of these pairs are still to be made."""
    store = RunStore.open(run)
    for number in pairs:
        store.forget("select", store.pair_ids()[number])


def damage(run: Path, pair: int) -> Path:
    shard = run / "run.zarr" / "features" / "L05N02" / "c.0.0.0"
    pieces = read_shard(shard, 64)
    write_shard(shard, {**pieces, pair: pieces[pair][:-1]}, 64)
    return shard


def set_aside(run: Path) -> dict[int, str]:
    store, ids = RunStore.open(run), RunStore.open(run).pair_ids()
    return {ids.index(id): entry.reason for id, entry in store.quarantined().items()}


def test_the_others_are_chosen_without_it_and_with_it_once_it_is_back(run: Path) -> None:
    before, first = results(run), choices(run)
    unchosen(run, *range(PAIRS))
    chunk = damage(run, 1)
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 3, resumed.output
    ((pair, reason),) = set_aside(run).items()
    assert pair == 1 and str(chunk) in reason and "mgi verify" in reason
    assert choices(run) == pytest.approx(dict.fromkeys((0, 2, 3), value(run, 0, 2, 3)))
    again = mgi("resume", run, "--workers", 0, "--retry")
    assert again.exit_code == 0, again.output
    assert choices(run) == first and results(run) == before
    assert "nothing to compute" in mgi("resume", run, "--workers", 0).output


def test_repair_and_resume_choose_again_for_all(run: Path) -> None:
    before, first = results(run), choices(run)
    unchosen(run, *range(PAIRS))
    damage(run, 0)
    assert mgi("resume", run, "--workers", 0).exit_code == 3
    assert mgi("verify", run, "--repair").exit_code == 1
    assert mgi("resume", run, "--workers", 0).exit_code == 0
    assert choices(run) == first and results(run) == before


def test_a_pair_that_was_chosen_for_earlier_is_set_aside_too(run: Path) -> None:
    unchosen(run, 3)
    damage(run, 0)
    assert mgi("resume", run, "--workers", 0).exit_code == 3
    assert set(set_aside(run)) == {0}
    assert choices(run)[3] == pytest.approx(value(run, 1, 2, 3))


def test_several_damaged_pairs_stop_no_choice_by_command(run: Path) -> None:
    damage(run, 0)
    damage(run, 1)
    unchosen(run, *range(PAIRS))
    chosen = mgi("select", run, "--rule", "set-fid", "--workers", 0)
    assert chosen.exit_code == 3, chosen.output
    assert set(set_aside(run)) == {0, 1}
    assert choices(run) == pytest.approx(dict.fromkeys((2, 3), value(run, 2, 3)))


def test_a_damaged_score_stops_no_choice_but_the_report(run: Path) -> None:
    first = choices(run)
    unchosen(run, *range(PAIRS))
    record = run / "done" / "blocks" / "000000.jsonl"
    *rest, third, last = [line for line in record.read_bytes().splitlines() if b'"stage":"score"' in line]
    assert len(rest) == 2 and last
    record.write_bytes(record.read_bytes().replace(third, third[:-1] + b" "))
    chosen = mgi("select", run, "--rule", "set-fid", "--workers", 0)
    assert chosen.exit_code == 1 and str(record) in chosen.output, chosen.output
    assert set(set_aside(run)) == {2} and set(choices(run)) == {0, 1, 3}
    assert mgi("resume", run, "--workers", 0, "--retry").exit_code == 0
    assert choices(run) == first


def test_nothing_is_chosen_if_no_pair_can_be_read(run: Path) -> None:
    unchosen(run, *range(PAIRS))
    for pair in range(PAIRS):
        damage(run, pair)
    resumed = mgi("resume", run, "--workers", 0)
    assert resumed.exit_code == 3, resumed.output
    assert set(set_aside(run)) == set(range(PAIRS)) and not choices(run)
