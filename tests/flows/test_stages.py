"""The table of stages: its order, keys and costs, and a new stage that is one row and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from marked import forget, markers
from PIL import Image
from runs import make_inputs

from flows.arguments import Arguments
from flows.pipeline import Summary, request_of, resume_run, translate_run
from flows.progress import Silent
from flows.status import read_status
from mgi.config import RunConfig
from storage.run_store import RunStore
from storage.unit_keys import pair_of
from tasks.report.rows import read_blocks
from tasks.stages import table
from tasks.stages.base import Call, Stage
from tasks.stages.ledger import Ledger
from tasks.unit import Job, OpenRun, Outcome, done_already

PAIRS, LANES = 3, 3


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_inputs(tmp_path / "in", PAIRS)


def translate(folder: Path, **overrides: object) -> Summary:
    sides = str(folder / "sources"), str(folder / "exemplars")
    values = {key.replace("__", "."): value for key, value in overrides.items()}
    asked = Arguments("translate", *sides, profile=str(folder / "stub.toml"), overrides=values)
    return translate_run(request_of(asked), str(folder / "run"), 0, None, Silent())


def resume(folder: Path, retry: bool = False) -> Summary:
    return resume_run(str(folder / "run"), 0, None, Silent(), retry=retry)


def ledger_of(folder: Path) -> Ledger:
    return Ledger(OpenRun(RunStore.open(folder / "run")))


def measure(job: Job, pair_id: str, what: list[str]) -> list[Outcome]:
    """Unit function of the stage that the tests add: numbers of a finished image, and one that is never one."""
    run = job.open()
    outcomes = done_already(run, "measure", what)
    for key in [key for key in what if key not in {outcome.key for outcome in outcomes}]:
        with Image.open(Path(job.run) / "final" / f"{pair_id}.png") as image:
            failed = "not a number" if key.endswith(".hopeless") else None
            payload = {"failed": failed, "width": image.width}
        run.store.publish("measure", key, pair_index=run.index(pair_id), payload=payload)
        outcomes.append(Outcome("measure", key, pair_id, 0.0, failed))
    return outcomes


def publish_lost(job: Job, call: Call, reason: str) -> list[Outcome]:
    """Its counterpart if the workers died."""
    pair_id, keys = call
    index = job.open().index(pair_id)
    for key in keys:
        job.open().store.publish("measure", key, pair_index=index, payload={"failed": reason})
    return [Outcome("measure", key, pair_id, 0.0, reason) for key in keys]


MEASURE = Stage(
    name="measure",
    unit="measures",
    compute=measure,
    after=("translate", "select"),  # whichever of them the run has
    parts=lambda run: ["width-v1.5", "hopeless"],
    calls=lambda shard: [(pair_id, keys) for pair_id, keys in shard.left.items()],
    publish_lost=publish_lost,
    required=False,
)


@pytest.fixture
def with_measure(monkeypatch: pytest.MonkeyPatch) -> Callable[[Stage], None]:
    """Adds a row to the table."""
    return lambda row: monkeypatch.setattr(table, "STAGES", (*table.STAGES, row))


def test_rows_have_a_name_of_their_own_and_come_after_what_they_need() -> None:
    names = [stage.name for stage in table.STAGES]
    ours = ["warp", "invert", "score", "select"]
    assert [name for name in names if name in ours] == ours
    assert len(set(names)) == len(names)
    for number, stage in enumerate(table.STAGES):
        assert set(stage.after) <= set(names[:number]), stage.name


@pytest.mark.parametrize("module", ["tasks.stages.table", "tasks.stages.ledger", "flows.status"])
def test_the_table_imports_nothing_that_computes(module: str) -> None:
    code = f"import sys, {module}; print([name for name in ('torch', 'PIL', 'dask') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_keys_split_back_into_pairs_and_name_the_markers(folder: Path) -> None:
    translate(folder)
    ledger = ledger_of(folder)
    for stage in ledger.stages:
        keys = {key: pair_id for pair_id in ledger.run.pair_ids() for key in stage.keys(ledger.run, pair_id)}
        assert {key: pair_of(key) for key in keys} == keys
        assert ledger.run.store.keys_done(stage.name) == set(keys)
        assert ledger.count(stage, ledger.run.pair_ids()) == (len(keys), len(keys))


def test_what_is_left_and_what_is_ready(folder: Path) -> None:
    translate(folder)
    ledger = ledger_of(folder)
    warp, invert, score, select, _ = ledger.stages
    first, *others = pairs = ledger.run.pair_ids()
    lane = f"{first}.L05N02"
    ledger.run.store.forget("invert", lane)
    (folder / "run" / "final" / f"{others[0]}.png").unlink()

    ledger = Ledger(ledger.run)
    assert ledger.left(warp, pairs) == {}
    assert ledger.left(invert, pairs) == {first: [lane]}
    assert ledger.left(select, pairs) == {others[0]: [others[0]]}, "its image was moved away"
    assert ledger.finished(pairs) == [others[1]]

    ledger.forget([first], score)
    assert ledger.left(score, pairs) == {first: [first]} and first in ledger.left(select, pairs)
    assert ledger.ready(invert, pairs) == {first: [lane]}
    assert ledger.ready(score, pairs) == {}, "its lane comes first"
    status = read_status(str(folder / "run"))
    assert not status["complete"] and status["stages"]["invert"] == {"done": 8, "total": 9, "failed": 0}
    assert resume(folder).computed == {"invert": 1, "score": 1, "select": 2}
    assert read_status(str(folder / "run"))["complete"]


def test_taking_back_starts_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translate(folder)
    ledger, forgotten = ledger_of(folder), []
    monkeypatch.setattr(RunStore, "forget", lambda self, stage, *keys: forgotten.extend(stage for _ in keys))
    ledger.forget(ledger.run.pair_ids()[:1])
    assert forgotten == ["select", "score", *["invert"] * LANES, "warp"]


def test_a_finished_run_lists_every_folder_once_and_reads_no_marker(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate(folder)
    listed: Counter[str] = Counter()
    parts_done, done = RunStore.parts_done, RunStore.done

    def listing(self: RunStore, stage: str) -> dict[str, frozenset[str]]:
        listed[stage] += 1
        return parts_done(self, stage)

    def reading(self: RunStore, stage: str, key: str) -> dict[str, object] | None:
        assert stage == "report", f"{stage} {key} was read"
        return done(self, stage, key)

    monkeypatch.setattr(RunStore, "parts_done", listing)
    monkeypatch.setattr(RunStore, "done", reading)
    once = {stage.name: 1 for stage in ledger_of(folder).stages}
    assert resume(folder).computed == {}
    assert listed == once
    listed.clear()
    assert read_status(str(folder / "run"))["complete"]
    assert listed == once


def test_what_a_dead_worker_costs(folder: Path) -> None:
    translate(folder)
    ledger, reason = ledger_of(folder), "its worker process died every time"
    warp, invert, *_ = ledger.stages
    first, second, _ = ledger.run.pair_ids()
    assert warp.quarantines and not invert.quarantines
    assert warp.lost(ledger.run.job, (first, False), reason) == [Outcome("warp", first, first, failed=reason)]

    gone = f"{first}.L05N02"
    ledger.run.store.forget("invert", gone)
    lost = invert.lost(ledger.run.job, (["L05N02"], [first, second], False), reason)
    assert {outcome.key: (outcome.failed, outcome.skipped) for outcome in lost} == {
        gone: (reason, False),
        f"{second}.L05N02": (None, True),
    }
    assert (ledger.run.store.done("invert", gone) or {})["failed"] == reason
    assert ledger.left(invert, [first, second]) == {}


def test_lanes_that_are_tried_again_are_scored_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_NAN", "L04N03")
    with monkeypatch.context() as patch:
        patch.setattr("stub_method.StubMethod.select", lambda *_: 1 / 0)
        assert len(translate(folder).quarantined) == PAIRS
    monkeypatch.delenv("STUB_NAN")
    assert resume(folder, retry=True).computed == {"invert": PAIRS, "score": PAIRS, "select": PAIRS}
    store = RunStore.open(folder / "run")
    assert all(len((store.done("score", key) or {})["scores"]) == LANES for key in store.keys_done("score"))


def test_a_row_is_all_that_a_stage_needs(folder: Path, with_measure: Callable[[Stage], None]) -> None:
    translate(folder)  # as it was before the stage existed
    with_measure(MEASURE)
    assert read_status(str(folder / "run"))["complete"], "a pair is complete without it"
    summary = resume(folder)
    assert (summary.computed, summary.failed) == ({"measure": PAIRS}, {"measure": PAIRS})
    assert (summary.done, summary.quarantined) == (PAIRS, {})
    assert resume(folder).computed == {}
    status = read_status(str(folder / "run"))
    assert status["stages"]["measure"] == {"done": 2 * PAIRS, "total": 2 * PAIRS, "failed": PAIRS}
    store = RunStore.open(folder / "run")
    (block,) = read_blocks(store, RunConfig.model_validate(store.header["config"]))
    assert list(block.stage_seconds) == ["warp", "invert", "score", "select", "evaluate", "measure"]

    key = next(key for key in markers(folder / "run", "measure") if key.endswith(".width-v1.5"))
    forget(folder / "run", "measure", key)
    assert resume(folder).computed == {"measure": 1} and key in markers(folder / "run", "measure")
    Image.new("RGB", (40, 40), "red").save(folder / "sources" / "s00.png")
    assert resume(folder).computed == {"warp": 1, "invert": LANES, "score": 1, "select": 1, "measure": 1}


def test_a_stage_may_be_part_of_some_runs_only(folder: Path, with_measure: Callable[[Stage], None]) -> None:
    with_measure(replace(MEASURE, used_by=lambda config: config.selection.rule == "set-fid"))
    assert "measure" not in translate(folder).computed
    assert "measure" not in read_status(str(folder / "run"))["stages"]


@pytest.mark.parametrize("rule", ["spatial-fd", "set-fid"])
def test_what_follows_a_choice_of_the_whole_set_waits_as_well(
    folder: Path, with_measure: Callable[[Stage], None], monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.setattr("flows.stages.SHARD", 2)
    with_measure(MEASURE)
    summary = translate(folder, selection__rule=rule)
    assert summary.computed["measure"] == summary.failed["measure"] == PAIRS
    log = (folder / "run" / "log.jsonl").read_text().splitlines()
    units = [event["stage"] for event in map(json.loads, log) if event["event"] == "unit"]
    waits = units.index("select") > max(number for number, stage in enumerate(units) if stage == "score")
    assert waits == (rule == "set-fid")
    assert units[-2:] == ["measure", "measure"]
