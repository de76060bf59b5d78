"""What a scheduler is told about units: names, resources, what they need loaded, and who may compute them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from dask.utils import key_split
from distributed import Client, LocalCluster, get_worker

from mgi.config import RunConfig
from tasks.stages.table import STAGES
from tasks.workers import agreement, warming
from tasks.workers.agreement import differences, packages, require_agreement
from tasks.workers.keys import Keys
from tasks.workers.pool import DaskPool
from tasks.workers.resources import Demand
from tasks.workers.watch import ClusterError, Watch

WIDE: dict[str, Any] = {"nthreads": 8, "resources": {}}
GPU: dict[str, Any] = {"nthreads": 8, "resources": {"GPU": 1}}
PAIR = "my-cat__lion-king__0a1b2c3d"
CALLS: dict[str, tuple[Any, ...]] = {
    "invert": (["L05N10", "L06N10"], [PAIR], False),
    "evaluate": (PAIR, [f"{PAIR}.ssim@0a1b2c3d", f"{PAIR}.style@0a1b2c3d"]),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """One worker of four threads, as `dask worker` starts it on a machine with four cores, in this process."""
    options = {"n_workers": 1, "threads_per_worker": 4, "processes": False, "dashboard_address": None}
    with LocalCluster(**options, silence_logs=logging.CRITICAL) as started:
        yield started


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster, set_as_default=False) as connected:
        yield connected


def pool_of(client: Client) -> DaskPool:
    watch = Watch(client, client.scheduler.address, lambda text: None)  # type: ignore[union-attr]
    watch.wait_for_worker()
    return DaskPool(client, watch, remote=True, notes=watch.notes())


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_key_says_stage_and_pair_and_the_dashboard_groups_by_stage(stage: Any) -> None:
    label = stage.label(CALLS.get(stage.name, (PAIR,)))
    key = Keys().key(label)
    assert key.startswith(f"{stage.name}-my_cat__lion_king__0a1b2c3d")
    assert key_split(key) == stage.name
    if stage.name == "invert":
        assert "-L05N10+1-" in key
    if stage.name == "evaluate":
        assert "-ssim+1-" in key


def test_keys_are_never_the_same() -> None:
    label = ("invert", PAIR, "L05N10")
    mine, others = Keys(), Keys()
    assert len({mine.key(label), mine.key(label), others.key(label), others.key(label)}) == 4


def seen(key: str) -> str:
    return get_worker().get_current_task()


def test_the_scheduler_sees_those_keys(client: Client) -> None:
    pool = pool_of(client)
    labels = [("warp", "a__b__1"), ("warp", "c__d__2")]
    keys = [key for _, (_, key) in zip(labels, sorted(pool.run(seen, [("a",), ("c",)], labels)), strict=True)]
    again = [key for _, key in sorted(pool.run(seen, [("a",), ("c",)], labels))]
    assert [key.rpartition("-")[0] for key in keys] == ["warp-a__b__1", "warp-c__d__2"]
    assert not set(keys) & set(again), "a result of the first time would have been taken for the second"


_running, _most = threading.Semaphore(0), [0, 0]


def one_of_many(number: int) -> int:
    _most[0] += 1
    _most[1] = max(_most)
    time.sleep(0.02)
    _most[0] -= 1
    return number


def test_a_worker_with_many_threads_computes_one_unit_at_a_time(client: Client) -> None:
    pool = pool_of(client)
    (note,) = pool.notes
    assert "1 of 1 workers have several threads" in note and '--resources "MGI=1"' in note
    assert sorted(number for _, number in pool.run(one_of_many, [(n,) for n in range(12)])) == list(range(12))
    assert _most == [0, 1]
    assert pool.threads == 4


@pytest.mark.parametrize(
    ("workers", "resource", "able", "threads", "notes"),
    [
        ({"a": WIDE}, None, 1, 8, 1),
        ({"a": {"nthreads": 1, "resources": {}}}, None, 1, 1, 0),
        (
            {"a": {"nthreads": 8, "resources": {"GPU": 1}}, "b": {"nthreads": 4, "resources": {"GPU": 2}}},
            "GPU",
            2,
            4,
            0,
        ),
        ({"a": GPU, "b": WIDE}, "GPU", 1, 8, 1),
        (
            {"a": {"nthreads": 2, "resources": {"GPU": 1, "MGI": 1}}, "b": {**WIDE, "resources": {"GPU": 1}}},
            "MGI",
            1,
            2,
            1,
        ),
        ({"a": {"nthreads": 8, "resources": {"other": 5}}}, None, 1, 8, 1),
    ],
)
def test_what_is_asked_of_workers(
    workers: dict[str, Any], resource: str | None, able: int, threads: int, notes: int
) -> None:
    demand = Demand.of(workers)
    assert demand.resource == resource
    assert len(demand.able(workers)) == able and demand.threads(workers) == threads
    assert len(demand.notes(workers, "tcp://10.0.0.5:8786")) == notes


def test_workers_that_agree(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    pool_of(client).agree(RunConfig.model_construct().model_dump_json())


@pytest.mark.parametrize(
    ("theirs", "weights", "says"),
    [
        ({"torch": "2.0.0"}, {}, "computes with other packages: torch 2.0.0 there, "),
        ({"code of mgi": "0a1b2c3d"}, {}, "code of mgi 0a1b2c3d there, "),
        ({}, {"a.pth": "f" * 64}, "has other weights under the same name: a.pth ffffffffffff there, 000000000000 here"),
    ],
)
def test_a_worker_that_differs(
    client: Client, monkeypatch: pytest.MonkeyPatch, theirs: dict[str, str], weights: dict[str, str], says: str
) -> None:
    here = dict(packages())
    monkeypatch.setattr(agreement, "_asker", lambda text: lambda: {"packages": here | theirs, "weights": weights})
    address = list(client.nthreads())
    with pytest.raises(ClusterError) as refused:
        require_agreement(client, address, {"a.pth": "0" * 64}, "{}")
    (line,) = str(refused.value).splitlines()
    assert says in line and address[0] in line and line.endswith(("has", "there"))


def test_a_worker_without_mgi(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "_asker", lambda text: lambda: {"error": "No module named 'tasks'"})
    with pytest.raises(ClusterError, match=r"cannot import mgi \(No module named 'tasks'\); install it there"):
        require_agreement(client, list(client.nthreads()), {}, "{}")


def test_a_worker_that_joins_with_other_packages_computes_nothing(client: Client) -> None:
    pool = pool_of(client)
    pool._expected = (("torch", "1.0.0"),)
    with pytest.raises(ClusterError, match=r"worker \S+ computes with other packages: torch \S+ there, 1.0.0 here"):
        pool.call(one_of_many, 1)


def test_what_one_side_does_not_know_is_no_difference() -> None:
    assert differences({"a": "1", "b": "2"}, {"a": "1", "c": "3", "b": ""}) == ""


def test_networks_are_loaded_once_per_process_and_by_workers_that_come(
    cluster: LocalCluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[str, int | None]] = []
    monkeypatch.setattr(warming, "load", lambda config, threads: loaded.append((config, threads)))
    pool = pool_of(client)
    pool.warm("{}", 2)
    pool.warm("{}", 2)
    assert loaded == [("{}", 2)]
    with Client(cluster, set_as_default=False) as other:  # another run of the same configuration
        pool_of(other).warm("{}", 2)
    assert loaded == [("{}", 2)]
    cluster.scale(2)
    client.wait_for_workers(2, timeout=20)
    deadline = time.monotonic() + 20
    while len(loaded) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert loaded == [("{}", 2)] * 2
    pool.close()
    assert not [name for name in cluster.scheduler.worker_plugins if name.startswith("mgi-")]
    cluster.scale(1)


def test_what_cannot_be_loaded_ends_the_command(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from mgi.weights import WeightsMissing

    def load(config: str, threads: int | None) -> None:
        raise WeightsMissing("1 network is missing")

    monkeypatch.setattr(warming, "load", load)
    pool = pool_of(client)
    with pytest.raises(WeightsMissing, match="1 network is missing"):
        pool.warm("{}", 3)
    pool.close()
