"""The README's Python runs as it is printed, and mypy finds nothing in it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import ROOT

from mgi import profiles
from mgi.config import RunConfig
from mgi.metrics.registry import chosen

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reader's folder, and four steps instead of the profile's."""
    load_config = profiles.load_config

    def few_steps(profile: str, overrides: dict[str, Any] | None = None, method: str | None = None) -> RunConfig:
        few = {"inversion.steps": 4, "inversion.warm_start": 2}
        return load_config(profile, {**(few if method is None else {}), **(overrides or {})}, method)

    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for module in ("profiles", "single"):
        monkeypatch.setattr(f"mgi.{module}.load_config", few_steps)


def run(block: str) -> dict[str, Any]:
    """The names that a block of the README leaves behind."""
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    return names


def test_one_call_makes_a_picture_of_two() -> None:
    left = run(BLOCKS[0])
    result = left["result"]
    assert result.array.shape == (64, 64, 3) and result.array.dtype == np.uint8 and result.info["hypothesis"]
    assert result.warp.size == (128, 128) and left["nearest"].size == (1024, 1024)
    with Image.open("result.png") as written:
        assert np.array_equal(np.asarray(written), result.array)


def test_mypy_finds_nothing_in_it(tmp_path: Path) -> None:
    files = [tmp_path / f"readme_{number}.py" for number in range(len(BLOCKS))]
    for file, block in zip(files, BLOCKS, strict=True):
        file.write_text(block)
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", *files]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert said.returncode == 0, said.stdout + said.stderr


def test_two_files_become_a_result_with_its_metrics() -> None:
    left = run(BLOCKS[1])
    result, numbers = left["result"], left["numbers"]
    assert (result.image.shape, result.image.dtype) == ((64, 64, 3), np.uint8)
    assert result.warp.shape == left["source"].shape == left["exemplar"].shape == (128, 128, 3)
    assert list(numbers) == [metric.name for metric in chosen("standard", "translate")]
    assert np.isfinite(list(numbers.values())).all()
    assert 0 < numbers["l2"] < 4


def test_a_generator_alone() -> None:
    left = run(BLOCKS[2])
    assert left["images"].shape == (2, 3, 1024, 1024)
    assert len(BLOCKS) == 3
