"""Pools: limited work in any order, workers that die, failures that stay with their lane."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from runs import command, environment, make_inputs, mgi, results, translate_command

from tasks.workers.cluster import _connected, open_pool
from tasks.workers.pool import Sequential
from tasks.workers.sizing import default_workers, threads_per_worker
from tasks.workers.watch import ClusterError


def test_sequential_runs_in_order() -> None:
    assert list(Sequential().run(pow, [(2, 3), (3, 2)])) == [(0, 8), (1, 9)]
    assert Sequential().call(max, 1, 2) == 2


def test_no_workers_means_this_process() -> None:
    with open_pool(0, None, lambda *beat: None) as pool:
        assert isinstance(pool, Sequential)


def test_missing_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.workers.cluster.CONNECT_WAIT", 1)
    with (
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1"),
        open_pool(0, "tcp://127.0.0.1:1", lambda *beat: None),
    ):
        pass


def test_a_client_that_did_not_connect_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to the collector, it takes a lock of its class wherever that runs: perhaps where the lock is held."""
    from distributed import Client

    gc.collect()  # what other tests left
    found: list[str] = []
    monkeypatch.setattr(Client, "__del__", lambda self: found.append(self.status))
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        _connected("tcp://127.0.0.1:1?token=x")  # refused after its thread has started
    gc.collect()
    assert found == ["closed"]


@pytest.mark.parametrize(
    ("cores", "gibibytes", "gpus", "expected"),
    [(2, 24, 0, 0), (15, 99, 0, 0), (64, 24, 0, 6), (8, 8, 1, 0), (8, 8, 4, 4)],
)
def test_default_workers(cores: int, gibibytes: int, gpus: int, expected: int) -> None:
    assert default_workers(cores, gibibytes * 2**30, gpus) == expected


def test_threads_share_the_cores() -> None:
    assert [threads_per_worker(workers, cores=8) for workers in (0, 1, 3, 20)] == [8, 8, 2, 1]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"), 3)


@pytest.fixture(scope="module")
def whole(inputs: Path) -> dict[str, bytes]:
    assert mgi(translate_command(inputs, inputs / "whole", "--workers", "0")).returncode == 0
    return results(inputs / "whole")


@pytest.mark.slow
def test_a_killed_worker_is_tried_again(inputs: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    order = tmp_path / "die"
    order.touch()
    done = mgi(translate_command(inputs, tmp_path / "run", "--workers", "2"), STUB_SUICIDE=str(order))

    assert done.returncode == 0, done.stderr
    assert not order.exists(), "no worker was killed"
    assert results(tmp_path / "run") == whole
    assert "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.slow
def test_a_pair_that_kills_every_worker_is_quarantined(inputs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    one = ("--set", 'inversion.hypotheses=["L04N03"]')
    assert mgi(translate_command(inputs, tmp_path / "good", *one, "--workers", "0")).returncode == 0

    killing = {"STUB_SUICIDE": "always", "STUB_FAIL": "s01__"}
    done = mgi(translate_command(inputs, run, *one, "--workers", "2"), **killing)

    assert done.returncode == 3, done.stderr
    assert "worker process died" in (run / "quarantine.csv").read_text()
    good = {name: data for name, data in results(tmp_path / "good").items() if "s01__" not in name}
    assert results(run) == good
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_external_scheduler(inputs: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    script = (
        "import time\n"
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)\n"
        "    print(cluster.scheduler_address, flush=True)\n"
        "    time.sleep(300)\n"
    )
    path = tmp_path / "scheduler.py"
    path.write_text(script)
    with subprocess.Popen(
        [sys.executable, path], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        try:
            done = mgi(translate_command(inputs, tmp_path / "run", "--scheduler", address))
        finally:
            server.kill()

    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "run") == whole


@pytest.mark.slow
def test_both_ways_to_choose_workers_exclude_each_other(inputs: Path, tmp_path: Path) -> None:
    done = mgi(translate_command(inputs, tmp_path / "run", "--workers", "1", "--scheduler", "tcp://127.0.0.1:1"))
    assert done.returncode == 2
    assert mgi(command("resume", tmp_path / "run", "--workers", "some")).returncode == 2
