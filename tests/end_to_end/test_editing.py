"""Editing with the shipped generator: labels by measurement, a learnt direction, and pictures that follow it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from places import EXAMPLES
from typer.testing import CliRunner

from flows.cli import app
from mgi.weights import WeightsMissing, load_generator, path

pytestmark = pytest.mark.slow


def mgi(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_direction_learnt_from_bright_and_dark_samples_brightens_an_inversion(tmp_path: Path) -> None:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    samples, run, direction = tmp_path / "samples", tmp_path / "run", tmp_path / "bright.npy"
    mgi("directions", "sample", "kaokore", "-n", "200", "--out", samples)
    with np.load(samples / "latents.npz") as file, torch.inference_mode():
        brightness = load_generator("kaokore")(torch.from_numpy(file["z"])).mean((1, 2, 3)).tolist()
    rows = [f"{index},{value}" for index, value in enumerate(brightness)]
    (tmp_path / "labels.csv").write_text("\n".join(["index,label", *rows]))
    said = mgi("directions", "fit", samples / "latents.npz", tmp_path / "labels.csv", "--out", direction)
    assert float(said.split("held-out accuracy ")[1].split(",")[0]) > 0.65

    (tmp_path / "pictures").mkdir()
    shutil.copy(EXAMPLES / "sources" / "kaokore-00003651.jpg", tmp_path / "pictures")
    few = ("--set", "generator=kaokore", "--set", 'inversion.hypotheses=["L04N08"]', "--set", "inversion.steps=8")
    mgi("invert", tmp_path / "pictures", "--out", run, "--profile", "quick", "--workers", "0", *few)
    mgi("edit", run, "--direction", direction, "--scale", "-4..4", "--steps", "3", "--full")
    (final,) = (run / "final").glob("*.png")
    dark, same, bright = (
        np.asarray(Image.open(run / "edits" / "bright" / final.stem / f"{amount}.png")) for amount in ("-4", "0", "+4")
    )
    np.testing.assert_array_equal(same, np.asarray(Image.open(final)))
    assert dark.mean() + 2 < same.mean() < bright.mean() - 2
