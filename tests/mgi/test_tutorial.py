"""docs/tutorial.ipynb: all cells run, at a few steps, and show what is stored."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from places import ROOT

from mgi.weights import WeightsMissing, path

CELLS = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
STEPS = "STEPS = 40"
NEEDED = ("vgg16-imagenet", "mobile-stylegan-ffhq")


def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tutorial", ROOT / "docs" / "make_tutorial.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kinds(outputs: list[dict[str, Any]]) -> list[list[str]]:
    return [sorted(output.get("data", {"text": ""})) for output in outputs]


@pytest.mark.slow
def test_every_cell_runs_and_shows_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for name in NEEDED:
            path(name)
    except WeightsMissing as error:
        pytest.skip(str(error))
    monkeypatch.chdir(ROOT / "docs")  # where Jupyter starts
    run_cell, names, sources = runner().run_cell, {"__name__": "__main__"}, []
    for number, cell in enumerate(CELLS):
        if cell["cell_type"] == "code":
            sources.append("".join(cell["source"]))
            shown = run_cell(sources[-1].replace(STEPS, "STEPS = 2"), names, f"cell {number}")
            assert kinds(shown) == kinds(cell["outputs"]), f"cell {number}: run docs/make_tutorial.py"
    assert "\n".join(sources).count(STEPS) == 1
    assert names["result"].array.shape == (64, 64, 3) and names["nearest"].size == (1024, 1024)
    assert names["confidence"].max() > names["confidence"].min()
    assert names["choice"]["hypothesis"] in {h.id for h in names["lanes"]}


def test_pictures_are_stored_and_small() -> None:
    outputs = [output for cell in CELLS for output in cell.get("outputs", [])]
    pictures = [output["data"]["image/jpeg"] for output in outputs if "image/jpeg" in output.get("data", {})]
    assert len(pictures) == 6
    assert (ROOT / "docs" / "tutorial.ipynb").stat().st_size < 300_000
    assert not [cell for cell in CELLS if "Traceback" in json.dumps(cell)]
    assert all(str(Path.home()) not in json.dumps(cell) for cell in CELLS)
