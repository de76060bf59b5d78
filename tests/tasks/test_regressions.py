"""Regressions in evaluations of many rows: a change that nobody could overlook has to be one, and chance none."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgi.config import ConfigError
from mgi.intervals import paired_difference
from tasks.suites.compare import apart, caveats, compare, comparison, lost, worse
from tasks.suites.frame import frame_of

METHODS, METRICS, PAIRS = 16, 10, 48


def evaluation(seed: int, spoilt: tuple[int, int] | None = None, by: float = 0.0) -> pd.DataFrame:
    """As many rows and metrics as `kaokore` has."""
    random, found = np.random.default_rng(seed), list[dict[str, Any]]()
    for place in itertools.product(range(METHODS), range(METRICS)):
        shared = {"method": f"m{place[0]}", "metric": f"k{place[1]}", "higher_is_better": False, "status": "ok"}
        values = random.normal(1 + by * (place == spoilt), 0.1, PAIRS)
        found += [{**shared, "pair_id": f"p{number}", "value": value} for number, value in enumerate(values)]
    return frame_of(found)


def test_one_number_of_hundreds_that_doubles_in_every_pair_is_a_regression() -> None:
    before = evaluation(0)
    assert [(change.method, change.metric) for change in worse(compare(before, evaluation(1, (3, 4), 1.0)))] == [
        ("m3", "k4")
    ]
    assert not worse(compare(before, evaluation(1)))


def test_what_has_no_pair_in_common_is_not_the_same() -> None:
    shared = {"method": "m", "higher_is_better": False, "status": "ok", "n": 1}
    whole = {**shared, "metric": "swd", "value": 2.0}
    one, other = (frame_of([{**shared, "metric": "l2", "value": 1.0, "pair_id": pair}, whole]) for pair in "ab")
    changes = compare(one, other)
    assert [change.metric for change in apart(changes)] == ["l2"]
    assert {change.metric: change.verdict for change in changes} == {"l2": "unknown", "swd": "same"}
    with pytest.raises(ConfigError, match="no pair that both have"):
        compare(one[one["pair_id"].notna()], other)


def test_what_was_measured_before_and_cannot_be_now_is_a_regression() -> None:
    shared = {"higher_is_better": False, "status": "ok", "n": 1}
    pairs = [{**shared, "method": m, "metric": "l2", "value": 1.0, "pair_id": p} for m in ("a", "b") for p in "xy"]
    whole = {**shared, "method": "a", "metric": "fid", "value": 2.0}
    before = frame_of([*pairs, whole])
    assert lost(before, before) == [] and lost(before, frame_of(pairs)) == []  # fid and nobody else were not asked for
    absent = {"method": "b", "n": 0, "status": "not run: weights x missing"}
    without = {**whole, "value": None, "status": "not run: weights inception-fid missing"}
    failed = {**pairs[1], "value": None, "status": "failed: one of two"}
    after = frame_of([pairs[0], failed, without, absent])
    assert lost(before, after) == [
        "b: not run: weights x missing",
        "a fid: not run: weights inception-fid missing",
    ]
    assert lost(after, after) == []  # never had them
    assert comparison(before, after).regressions == lost(before, after)
    assert comparison(before, frame_of([{**absent, "method": "a"}, absent])).lost == [
        "a: not run: weights x missing",
        "b: not run: weights x missing",
    ]


def test_other_versions_and_weights_are_said() -> None:
    shared = {"suite": "s", "version": 1, "method": "m", "value": 1.0, "status": "ok"}
    row = {**shared, "metric": "style", "network_sha256": "a"}
    before = frame_of([row, {**row, "metric": "swd", "network_sha256": ""}])
    assert caveats(before, before) == []
    after = before.assign(version=2, network_sha256=["b", ""])
    assert caveats(before, after) == [
        "version 1 of the suite s before, 2 after",
        "style was measured by other weights before",
    ]


@pytest.mark.parametrize("count", [4, 6, 10])
def test_of_few_pairs_every_flip_counts(count: int) -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).normal(1, 0.5 * (seed % 4), count)
        flips = np.array(list(itertools.product((-1, 1), repeat=count))) @ values
        exact = float((np.abs(flips) >= abs(values.sum()) - 1e-12).mean())
        assert paired_difference(values, np.zeros(count)).p == pytest.approx(exact)


def test_the_bound_of_the_tail_is_one() -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).exponential(1, 15) ** (seed % 3 + 1)
        flips = np.array(list(itertools.product((-1, 1), repeat=15))) @ values
        exact = float((np.abs(flips) >= abs(values.sum()) - 1e-9).mean())
        assert exact <= paired_difference(values, np.zeros(15)).p
