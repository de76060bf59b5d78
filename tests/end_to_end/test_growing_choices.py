"""Added hypotheses, `mgi select`, and what is said of a run that has grown, as a person uses them on the stub."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from growing import check_kept, chunks, mgi, translate, units
from PIL import Image
from runs import make_inputs, results

from storage.run_store import RunStore

pytestmark = pytest.mark.usefixtures("stub")

MORE = ["L04N03", "L05N02", "L06N04", "L07N05", "L08N05"]
ADDED = ("--set", f"inversion.hypotheses={json.dumps(MORE)}")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Five images a side."""
    return make_inputs(tmp_path / "inputs", 5)


# ---------------------------------------------------------------------- hypotheses


def test_added_hypotheses_are_computed_alone(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "2")
    old, before = chunks(run), units(run)
    said = translate(inputs, run, "--limit", "2", *ADDED)
    assert "2 hypotheses added: L07N05, L08N05" in said.stderr
    assert units(run) - before == {"invert": 4, "score": 2, "select": 2}
    check_kept(old)
    translate(inputs, tmp_path / "whole", "--limit", "2", *ADDED)
    ours, whole = (sorted((folder / "final").glob("*.png")) for folder in (run, tmp_path / "whole"))
    for one, other in zip(ours, whole, strict=True):  # the files name the run's digest
        assert np.array_equal(np.asarray(Image.open(one)), np.asarray(Image.open(other)))
    assert "nothing to compute" in translate(inputs, run, "--limit", "2").stdout


def test_other_hypotheses_are_another_run(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "1")
    asked = ("--limit", "1", "--extend", "--set", 'inversion.hypotheses=["L04N03","L07N05"]')
    refused = translate(inputs, run, *asked, code=2).stderr
    assert "hypotheses can only be added to a run; without L05N02, L06N04 it is another one" in refused
    assert f"continue it with `mgi resume {run}`" in refused


def test_pairs_and_hypotheses_are_added_by_one_command(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "2")
    said = translate(inputs, run, "--limit", "3", "--extend", *ADDED)
    assert "1 pair added" in said.stderr and "2 hypotheses added" in said.stderr
    assert units(run)["invert"] == 3 * len(MORE)


def test_hypotheses_that_share_a_call_compete_with_those_that_came_with_them(inputs: Path, tmp_path: Path) -> None:
    run, rungs = tmp_path / "run", ("--limit", "2", "--set", 'inversion.rungs=["2:1"]')
    translate(inputs, run, *rungs)
    translate(inputs, run, *rungs, *ADDED)
    assert units(run)["invert"] == 2 * len(MORE), "the call of the old ones is not made again"
    page = (run / "report.html").read_text()
    assert "added later competed among themselves" in page


# ---------------------------------------------------------------------- selection


def test_another_choice_and_back_gives_the_same_bytes(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run)
    first, old, before = results(run), chunks(run), units(run)
    said = mgi("select", run, "--rule", "set-fid", "--workers", "0")
    assert "chosen again by selection.rule = set-fid" in said.stderr and "computed: 5 select" in said.stdout
    assert {RunStore.open(run).done("select", id)["rule"] for id in RunStore.open(run).pair_ids()} == {"set-fid"}  # type: ignore[index]
    assert "set-fid" in (run / "report.html").read_text() and results(run) != first
    mgi("select", run, "--rule", "spatial-fd", "--workers", "0")
    assert results(run) == first
    assert units(run) - before == {"select": 10}
    check_kept(old)
    assert "nothing to compute" in mgi("select", run, "--rule", "spatial-fd").stdout
    assert "nothing to compute" in translate(inputs, run).stdout


def test_another_bound_is_another_choice(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "1")
    mgi("select", run, "--fidelity-bound", "2.5", "--workers", "0")
    assert "fidelity bound 2.5" in (run / "report.html").read_text()


def test_choosing_again_is_refused_in_one_line(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "2")
    header = (run / "run.json").read_bytes()
    assert "expected --rule NAME" in mgi("select", run, code=2).stderr
    assert "selection.rule" in mgi("select", run, "--rule", "best", code=2).stderr
    assert "holds no run" in mgi("select", tmp_path, "--rule", "sifid", code=2).stderr
    pair_id = RunStore.open(run).pair_ids()[0]
    RunStore.open(run).forget("score", pair_id)
    left = mgi("select", run, "--rule", "sifid", code=2).stderr
    assert "1 pair that is not scored yet" in left and f"`mgi resume {run}`" in left
    assert (run / "run.json").read_bytes() == header
    refused = translate(inputs, run, "--limit", "2", "--set", "selection.rule=sifid", code=2)
    assert f"`mgi select {run} --rule sifid --fidelity-bound 1.5 --critic-margin 0`" in refused.stderr


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_choosing_again_after_a_kill_before_anything_was_taken_back(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "2")
    with monkeypatch.context() as context:
        context.setattr("flows.session.settle", interrupted)
        mgi("select", run, "--rule", "set-fid", "--workers", "0", code=130)
    assert not RunStore.open(run).header["changes"][0]["applied"]
    mgi("resume", run, "--workers", "0")
    store = RunStore.open(run)
    assert {store.done("select", id)["rule"] for id in store.pair_ids()} == {"set-fid"}  # type: ignore[index]
    assert store.header["changes"][0]["applied"]


# ---------------------------------------------------------------------- what is said


def test_what_a_run_grew_by_is_said_everywhere(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "1")
    assert "grown" not in mgi("status", run).stdout and json.loads(mgi("status", run, "--json").stdout)["changes"] == []
    assert "This run has grown" not in (run / "report.html").read_text()
    translate(inputs, run, "--limit", "2", "--extend", *ADDED)
    mgi("select", run, "--rule", "set-fid", "--workers", "0")
    said = ("1 pair added", "2 hypotheses added: L07N05, L08N05", "chosen again by selection.rule = set-fid")
    status, page = mgi("status", run).stdout, (run / "report.html").read_text()
    for text in said:
        assert f"UTC: {text}" in status and f"UTC {text}</li>" in page
    changes = json.loads(mgi("status", run, "--json").stdout)["changes"]
    assert [change["what"] for change in changes] == ["pairs", "hypotheses", "selection"]
    assert changes[0]["set"] == {"inputs.limit": 2} and changes[1]["added"] == ["L07N05", "L08N05"]


def test_a_dry_run_says_what_would_be_added_and_writes_nothing(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path / "weights"))  # nothing to measure
    monkeypatch.setenv("MGI_OFFLINE", "1")
    monkeypatch.delenv("MGI_WEIGHTS_MIRROR", raising=False)
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "1")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    said = translate(inputs, run, "--limit", "3", "--extend", "--dry-run").stdout
    assert "exists: would be continued, 2 pairs added; the estimate is for what is added" in said
    said = translate(inputs, run, "--limit", "3", "--extend", *ADDED, "--dry-run").stdout
    assert "2 pairs added, 2 hypotheses added: L07N05, L08N05; the estimate is for all of it" in said
    found = json.loads(translate(inputs, run, "--limit", "3", "--extend", "--dry-run", "--json").stdout)
    assert len(found["added"]["pairs"]) == 2 and found["added"]["hypotheses"] == [] and found["estimated"] == "added"
    assert "inputs.seed: 0 -> 1" in translate(inputs, run, "--seed", "1", "--dry-run", code=2).stderr
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


def test_numbers_of_results_follow_the_choice(inputs: Path, tmp_path: Path) -> None:
    run, metrics = tmp_path / "run", ("--metrics", "l2")
    translate(inputs, run, "--limit", "2", *metrics)
    before = units(run)
    assert before["evaluate"] == 2
    mgi("select", run, "--rule", "set-fid", "--workers", "0")
    assert units(run) - before == {"select": 2, "evaluate": 2}, "the run remembers what it measures"
    mgi("select", run, "--rule", "spatial-fd", "--workers", "0")
    before = units(run)
    translate(inputs, run, "--limit", "3", "--extend", *metrics)
    assert units(run) - before == {"warp": 1, "invert": 3, "score": 1, "select": 1, "evaluate": 1}


def test_a_run_without_hypotheses_has_nothing_to_choose_among(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    translate(inputs, run, "--limit", "1")
    monkeypatch.setattr("tasks.stages.ledger.stages_of", lambda _: ())
    assert "has no hypotheses to choose among" in mgi("select", run, "--rule", "sifid", code=2).stderr
