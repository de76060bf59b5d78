"""OEFT as in the papers' profiles, at full size: VGG-19 (a stand-in), 256 pixels, every one of 64 x 64 anchors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from standins import weights_folder
from tiny_features import smooth_pictures, tiny_vgg

from mgi.correspondence.oeft import FineTuner
from mgi.features import VGG, load_backbone
from mgi.profiles import load_config

ROOT = Path(__file__).resolve().parents[2]

PROFILES = ("paper-celebahq", "paper-ffhq")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_papers_profiles_say_what_the_paper_says(profile: str) -> None:
    config = load_config(profile)
    s, warp = config.oeft, config.warp
    assert (warp.normalise, warp.centre, warp.patch, warp.colours) == ("concatenated", "positions", 1, "pooled")
    assert (s.contrastive_form, s.perceptual_form, s.context_form) == ("literal", "literal", "literal")
    assert (s.contrastive_weight, s.regularization) == (1, "none")  # equation 11
    assert s.positions == s.feature_size**2 == warp.feature_size**2 == 4096
    assert s.context_size >= s.feature_size and s.context_centre == "batch"
    assert (s.iterations, s.image_size, s.augment, s.shared, s.train_from) == (200, 256, True, False, "conv1_1")
    assert "relu3_4" in warp.layers and warp.backbone == "vgg19-imagenet"


@pytest.mark.parametrize("profile", PROFILES)
def test_every_position_is_an_anchor(profile: str) -> None:
    config = load_config(profile)
    warp = config.warp.model_copy(update={"layers": ("relu1_2",)})
    style = {"perceptual_layers": ("relu1_1",), "context_layers": ("relu2_1",)}
    settings = config.oeft.model_copy(update={"augment": False, **style})
    tuner = FineTuner(*smooth_pictures(1, 256), tiny_vgg(), warp, settings, [0])
    assert tuner._positions(1) is None  # none is left out, so none is drawn
    assert load_config("embedded").oeft.positions < 4096


@pytest.mark.long
@pytest.mark.slow
def test_an_iteration_of_true_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it costs is printed by the benchmark (docs/oeft.md); here it only has to fit and to move every weight."""
    weights = weights_folder(tmp_path / "weights", "vgg19-imagenet")
    environment = {**os.environ, "MGI_WEIGHTS_DIR": str(weights), "PYTHONPATH": str(ROOT)}
    arguments = ["--speed", "1", "--steps", "1", "--profile", "paper-celebahq", "--threads", "2"]
    command = [sys.executable, "-m", "benchmarks.oeft", str(tmp_path / "none.jsonl"), *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    (peak,) = re.findall(r"peak ([\d.]+) GiB", done.stdout)
    assert float(peak) < 8

    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(weights))
    network, config = load_backbone("vgg19-imagenet"), load_config("paper-celebahq")
    assert isinstance(network, VGG) and sum(values.numel() for values in network.buffers()) > 20e6
    tuner = FineTuner(*smooth_pictures(1, 256), network, config.warp, config.oeft, [0])
    losses = tuner.step()
    assert losses.shape == (1, 4) and torch.isfinite(losses).all()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in tuner._net.parameters())
    warp = tuner.warp()
    assert warp.shape == (1, 3, 256, 256) and torch.isfinite(warp).all()
