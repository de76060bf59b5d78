"""The README's Python runs as it is printed, in this checkout."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from places import ROOT

from mgi import profiles
from mgi.config import RunConfig
from mgi.metrics.registry import chosen

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader's folder, and four steps instead of the profile's."""
    load_config = profiles.load_config

    def few_steps(profile: str) -> RunConfig:
        return load_config(profile, {"inversion.steps": 4, "inversion.warm_start": 2})

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("mgi.profiles.load_config", few_steps)


def run(block: str) -> dict[str, Any]:
    """The names that a block of the README leaves behind."""
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    return names


def test_two_files_become_a_result_with_its_metrics() -> None:
    left = run(BLOCKS[0])
    result, numbers = left["result"], left["numbers"]
    assert (result.image.shape, result.image.dtype) == ((64, 64, 3), np.uint8)
    assert result.warp.shape == left["source"].shape == left["exemplar"].shape == (128, 128, 3)
    assert list(numbers) == [metric.name for metric in chosen("standard", "translate")]
    assert np.isfinite(list(numbers.values())).all()
    assert 0 < numbers["l2"] < 4


def test_a_generator_alone() -> None:
    left = run(BLOCKS[1])
    assert left["images"].shape == (2, 3, 1024, 1024)
    assert len(BLOCKS) == 2
