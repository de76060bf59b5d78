"""The simulation behind docs/clusters.md, where its answer is known."""

from __future__ import annotations

import pytest

from benchmarks.scaling_model import Costs, StageTimes, simulate

FREE = Costs(0, 0, 0)
UNITS = [StageTimes("invert", 1, 2.0, spread=0)]


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_without_costs_workers_divide_the_time(workers: int) -> None:
    assert simulate(UNITS, 64, workers, FREE) == (128 / workers, 1.0)


def test_the_client_is_the_limit() -> None:
    """One result every 0.1 s, however many workers."""
    done = simulate(UNITS, 1000, 100, Costs(0.1, 0, 0), shard=1000)
    assert 99.9 < done.seconds < 104
    assert done.efficiency == pytest.approx(2000 / (100 * done.seconds))


def test_the_scheduler_is_the_limit() -> None:
    assert 99.9 < simulate(UNITS, 1000, 100, Costs(0, 0.1, 0), shard=1000).seconds < 104


def test_the_worker_s_own_cost_is_no_computing() -> None:
    assert simulate(UNITS, 64, 1, Costs(0, 0, 2.0)).efficiency == 0.5


def test_workers_wait_at_the_end_of_a_shard() -> None:
    """48 workers and 64 units: the second round leaves 32 of them idle."""
    assert simulate(UNITS, 64, 48, FREE) == (4.0, 64 * 2 / (48 * 4))
    assert simulate(UNITS, 64 * 30, 48, FREE, shard=64 * 30).efficiency == 1.0


def test_stages_follow_each_other() -> None:
    both = [StageTimes("warp", 1, 1.0, spread=0), StageTimes("invert", 3, 2.0, spread=0)]
    assert simulate(both, 64, 64, FREE).seconds == 1 + 3 * 2
