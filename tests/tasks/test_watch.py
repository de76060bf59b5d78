"""Results that are waited for: an end without leftovers, the call's own errors, workers that come back."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from distributed import CancelledError, Client, LocalCluster
from distributed.comm import CommClosedError

from tasks.workers.patience import patience
from tasks.workers.watch import ClusterError, Watch


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tasks.workers.watch.LOOK", 0.1)
    token = patience.set(1)
    yield
    patience.reset(token)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with LocalCluster(**options, silence_logs=logging.CRITICAL) as started:
        yield started


def ended(client: Client, function: Any, *args: Any) -> Any:
    future = client.submit(function, *args, pure=False)
    while future.status == "pending":
        time.sleep(0.01)
    return future


def lose_on_the_way(cluster: LocalCluster, client: Client, future: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies between the end of the call and the transfer of its result."""
    fetch = client._gather_remote

    async def after_its_death(*args: Any, **options: Any) -> Any:
        for address in list(cluster.scheduler.workers):
            await cluster.scheduler.remove_worker(address, stimulus_id="test")
        while future.status == "finished":
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        return await fetch(*args, **options)

    monkeypatch.setattr(client, "_gather_remote", after_its_death)


def test_a_wait_that_is_given_up_leaves_nothing(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(cluster, set_as_default=False) as client:
        future = ended(client, pow, 2, 3)
        with monkeypatch.context() as only:
            lose_on_the_way(cluster, client, future, only)
            with pytest.raises(ClusterError, match="had no worker for 1 s"):
                Watch(client, "tcp://127.0.0.1:1", lambda text: None).result(future)
    del future
    gc.collect()

    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_a_scheduler_that_goes_in_the_middle_of_the_answer_is_lost(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any, **options: Any) -> Any:
        raise CommClosedError("in <TCP (closed) ConnectionPool.gather>: Connection reset by peer")

    with Client(cluster, set_as_default=False) as client:
        future = ended(client, pow, 2, 3)
        monkeypatch.setattr(client, "_gather_remote", broken)
        with pytest.raises(ClusterError, match=r"the scheduler at tcp://127.0.0.1:1 does not answer any more"):
            Watch(client, "tcp://127.0.0.1:1", lambda text: None).result(future)


def test_a_result_lost_on_the_way_is_made_again(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        cluster.scale(2)  # the cluster still counts the one that was taken from it

    with Client(cluster, set_as_default=False) as client:
        future = ended(client, pow, 2, 3)
        with monkeypatch.context() as only:
            lose_on_the_way(cluster, client, future, only)
            patience.set(30)
            watch = Watch(client, None, say)
            monkeypatch.setattr("tasks.workers.watch.NOTICE", 0.1)
            assert watch.result(future) == 8
    assert len(said) >= 1 and "has no worker" in said[0]


def failing(error: type[Exception]) -> None:
    raise error("the call's own")


@pytest.mark.parametrize("error", [TimeoutError, ValueError])
def test_the_calls_own_error(cluster: LocalCluster, error: type[Exception]) -> None:
    with Client(cluster, set_as_default=False) as client, pytest.raises(error, match="the call's own"):
        Watch(client, None, lambda text: None).result(ended(client, failing, error))


def test_a_cancelled_call(cluster: LocalCluster) -> None:
    with Client(cluster, set_as_default=False) as client:
        future = ended(client, pow, 2, 3)
        client.cancel([future], force=True)
        with pytest.raises(CancelledError):
            Watch(client, None, lambda text: None).result(future)
