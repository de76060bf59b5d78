"""What the runs of all trainings share."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.training_store import TrainingConflict, TrainingStore
from tasks.training_runs import enough


def test_a_run_that_stopped_before_its_first_score_has_no_result(tmp_path: Path) -> None:
    store = TrainingStore(tmp_path)
    assert not enough(store, 2, 3)
    with pytest.raises(TrainingConflict, match=r"is at step 5 and has no score yet; use --steps of more than 5"):
        enough(store, 5, 3)
    store.add_metrics({"step": 4, "frechet": 1.0})
    assert enough(store, 5, 3) and enough(store, 3, 3) and not enough(store, 2, 3)
