"""Runs whose report is made."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_run
from report_run import PAIRS

from mgi.config import RunConfig
from storage.run_store import RunStore


@pytest.fixture
def config() -> RunConfig:
    return report_run.small_config()


@pytest.fixture
def empty(tmp_path: Path, config: RunConfig) -> RunStore:
    return report_run.create(tmp_path / "a run", config)


@pytest.fixture
def store(empty: RunStore) -> RunStore:
    """Two pairs done (one of the second's lanes failed), one quarantined, one not begun."""
    for index, pair in enumerate(PAIRS[:2]):
        report_run.fill(empty, index, pair, failed="L06N30" if index else None)
    empty.quarantine(PAIRS[2].id, "warp", "broken.png is <b>truncated</b>; bring it again")
    return empty
