"""Methods that need a map beside every picture, through the pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from released import cocosnet_files
from runs import make_inputs
from small_suite import evaluated, mgi, suite_file

pytestmark = pytest.mark.usefixtures("plain")


def write_labels(inputs: Path) -> Path:
    """A map of five classes for every picture; sources have PNG files, exemplars arrays."""
    random, folder = np.random.default_rng(1), inputs / "labels"
    folder.mkdir()
    for path in sorted(inputs.glob("*/[se]??.png")):
        labels = random.integers(0, 5, (5, 6)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        if path.parent.name == "sources":
            Image.fromarray(labels).save(folder / path.name)
        else:
            np.save(folder / f"{path.stem}.npy", np.eye(5, dtype=np.float32)[labels].transpose(2, 0, 1))
    return folder


def test_a_suite_has_rows_of_a_conditioned_method_and_of_its_warp(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "inputs", 2)
    labels = write_labels(inputs)
    options = cocosnet_files(tmp_path, "faces") | {"labels": str(labels)}
    said = ", ".join(f'"options.{name}" = "{value}"' for name, value in options.items())
    rows = [
        f'name = "cocosnet"\nset = {{ {said} }}',
        f'name = "cocosnet-warp"\nmethod = "cocosnet"\nset = {{ {said}, "options.output" = "warp" }}',
        'name = "absent"\nmethod = "cocosnet"\nset = { "options.labels" = "labels" }',
    ]
    out, suite = tmp_path / "out", suite_file(inputs, *rows)
    done = mgi("evaluate", suite, "--out", out)
    assert done.exit_code == 0, done.output
    table = evaluated(out)
    measured = table[table["metric"] == "l2"].groupby("method")["value"].count()
    assert measured.to_dict() == {"cocosnet": 2, "cocosnet-warp": 2}
    numbers = sum(x.numel() for key in ("correspondence", "generator") for x in torch.load(options[key]).values())
    assert table[table["metric"] == "parameters"]["value"].tolist() == [pytest.approx(numbers / 1e6)] * 2
    absent = table[table["method"] == "absent"]["status"].iloc[0]
    assert absent.startswith("not run: weights missing (cocosnet: expected options.model, a file that `mgi train")
    (run,) = out.glob("rows/cocosnet-[0-9a-f]*")
    with Image.open(next((run / "final").glob("s00*.png"))) as image:
        assert image.size == (256, 256)
    hashes = json.loads((run / "run.json").read_text())
    assert {options["generator"], str(labels)} <= set(json.dumps(hashes).split('"'))
    # a picture without a map is set aside by name, and another map makes the row anew
    (labels / "s01.png").unlink()
    again = mgi("evaluate", suite, "--out", out)
    assert again.exit_code == 3, again.output
    assert len(list(out.glob("rows/cocosnet-[0-9a-f]*"))) == 2
    assert "has no map of s01.png; expected s01.png of labels or s01.npy" in again.output
