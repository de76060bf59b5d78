"""How a run is computed does not show in it: workers, shards, pairs per call of the inversion.

`python -m benchmarks.determinism` is the long form, and the tables in docs/reliability.md are what it prints.
"""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from places import EXAMPLES, ROOT
from runs import HERE, make_inputs

from flows import session
from flows.arguments import Arguments
from flows.pipeline import resume_run
from flows.progress import Lines
from mgi.weights import WeightsMissing, path
from storage.run_store import RunStore
from tasks.stages.ledger import Ledger
from tasks.unit import Job
from tasks.workers.cluster import local_cluster

PAIRS = 18
"""More than one shard of 16."""

pytestmark = pytest.mark.slow


@pytest.fixture
def determinism(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import determinism

    return determinism


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """One list per shard: how many pairs each call of its inversion took."""
    seen: list[list[int]] = []
    run = session.run_counted

    def watched(pool: Any, starts: Any, stage: Any, job: Any, calls: Any) -> Any:
        if stage.name == "invert":
            seen.append([len(stage.pairs_of(call)) for call in calls])
        return run(pool, starts, stage, job, calls)

    monkeypatch.setattr(session, "run_counted", watched)
    return seen


def the_same(compared: dict[str, Any]) -> bool:
    counts = [value for value in compared.values() if isinstance(value, tuple)]
    return compared["largest"] == 0 and all(equal == there > 0 for equal, there in counts)


def test_workers_shards_and_batches_change_nothing(
    stub: None, tmp_path: Path, determinism: Any, batches: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, first = make_inputs(tmp_path / "in", PAIRS), None
    asked = Arguments("translate", str(inputs / "sources"), str(inputs / "exemplars"), str(inputs / "stub.toml"))
    monkeypatch.syspath_prepend(str(HERE))  # for the workers
    for workers, setups in itertools.groupby(determinism.setups([16, 64])[:8], lambda setup: setup.workers):
        with local_cluster(workers, []) as cluster:  # one for four runs: starting it is most of the time
            for setup in setups:
                batches.clear()
                run = tmp_path / setup.name
                found = determinism.compute(asked, run, setup, scheduler=cluster.scheduler_address)
                first = first or found
                assert the_same(compared := determinism.compare(first, found)), (setup, compared)
                assert len(batches) == (2 if setup.shard == 16 else 1)
                assert max(size for shard in batches for size in shard) == setup.lanes


@pytest.mark.long
def test_real_weights_come_to_the_same_bits(
    plain: None, tmp_path: Path, determinism: Any, batches: list[list[int]]
) -> None:
    """On a CPU in fp32, with the number of threads that a run remembers, whatever a new run would take."""
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    for number, painting in enumerate(sorted(EXAMPLES.glob("*/kaokore-*.jpg"))):
        side = tmp_path / ("sources", "exemplars")[number % 2]
        side.mkdir(exist_ok=True)
        shutil.copy(painting, side)
    few = {"inversion.steps": "2", "inversion.warm_start": "1", "inversion.hypotheses": '["L06N02", "L06N04"]'}
    asked = Arguments(
        "translate", str(tmp_path / "sources"), str(tmp_path / "exemplars"), "quick", "product", overrides=few
    )
    alone, together = determinism.Setup(1, 64, 1), determinism.Setup(2, 3, 4)
    found = [determinism.compute(asked, tmp_path / setup.name, setup) for setup in (alone, together)]
    assert batches == [[1, 1, 1, 1], [3], [1]]
    assert the_same(compared := determinism.compare(*found)), compared
    store = RunStore.open(tmp_path / together.name)
    Ledger(Job.of(store).open()).forget(store.pair_ids()[:1])
    resumed = resume_run(str(store.path), 1, None, Lines(print))
    assert resumed.computed["invert"] == 2
    assert the_same(compared := determinism.compare(found[0], determinism.read(store.path))), compared
