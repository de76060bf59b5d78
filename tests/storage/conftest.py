"""What the tests of the storage share."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import ARRAYS, HEADER, plan

from storage.run_store import RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A planned run in which nothing is done yet."""
    return RunStore.create(tmp_path / "run", HEADER, plan(3), ARRAYS)
