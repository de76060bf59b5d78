"""What keeps the code small: a module has one idea, and fits on a few screens."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST, MEDIAN = 300, 100


def lengths(*folders: str) -> dict[str, int]:
    """{path: lines} of all modules except `__init__.py` files that only hold a docstring."""
    found = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
    }
    return {name: lines for name, lines in found.items() if lines > 1}


@pytest.mark.parametrize("folder", ["mgi", "storage", "tasks", "flows", "benchmarks", "tests"])
def test_no_module_is_too_long(folder: str) -> None:
    found = lengths(folder)
    assert found
    assert {name: lines for name, lines in found.items() if lines > LONGEST} == {}, "split them by theme"


def test_most_modules_fit_on_two_screens() -> None:
    assert median(lengths("mgi", "storage", "tasks", "flows").values()) < MEDIAN
