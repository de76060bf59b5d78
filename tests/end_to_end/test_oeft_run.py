"""`mgi translate --warp oeft` on real pictures and weights, with as little fine-tuning as shows in the result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import EXAMPLES
from typer.testing import CliRunner, Result

from flows.cli import app
from mgi.config import OEFT_TERMS
from mgi.weights import WeightsMissing, path
from storage.run_store import RunStore

PAINTINGS = sorted(EXAMPLES.glob("*/kaokore-*.jpg"))[:2]
SMALL = {
    "inversion.hypotheses": '["L06N02"]',
    "inversion.steps": "2",
    "selection.domain_samples": "16",
    "oeft.iterations": "3",
    "oeft.learning_rate": "1e-3",
    "oeft.image_size": "64",
    "oeft.feature_size": "16",
    "oeft.perceptual_weight": "0",
}

pytestmark = pytest.mark.slow


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    for side, painting in zip(("sources", "exemplars"), PAINTINGS, strict=True):
        (tmp_path / side).mkdir()
        shutil.copy(painting, tmp_path / side)
    return tmp_path


def translate(inputs: Path, run: str, *more: str, **changes: str) -> Result:
    folders = [str(inputs / "sources"), str(inputs / "exemplars")]
    settings = [part for key, value in {**SMALL, **changes}.items() for part in ("--set", f"{key}={value}")]
    arguments = [*folders, "--out", str(inputs / run), "--profile", "quick", "--workers", "0", *settings, *more]
    return CliRunner().invoke(app, ["translate", *arguments])


def kept(run: Path) -> tuple[RunStore, pd.Series]:
    return RunStore.open(run), pd.read_parquet(run / "tables" / "pairs.parquet").iloc[0]


def test_a_fine_tuned_run(inputs: Path) -> None:
    for run, more in (("plain", ()), ("oeft", ("--warp", "oeft"))):
        result = translate(inputs, run, *more)
        assert result.exit_code == 0, result.output
    plain, row = kept(inputs / "plain")
    assert row["warp_method"] == "plain" and pd.isna(row["oeft_seconds"])
    with pytest.raises(KeyError):
        plain.read("warp/oeft_loss", 0)

    store, row = kept(inputs / "oeft")
    assert row["warp_method"] == "oeft" and row["oeft_seconds"] > 0
    assert json.loads((inputs / "oeft" / "run.json").read_text())["config"]["warp"]["method"] == "oeft"
    losses = store.read("warp/oeft_loss", 0)
    assert (losses.shape, losses.dtype) == ((3, len(OEFT_TERMS)), np.float32)
    assert np.isnan(losses).any(0).tolist() == [False, True, False, False]  # the loss without weight is not computed
    assert store.verify("warp", row["pair_id"])
    assert np.array_equal(store.read("warp/source", 0), plain.read("warp/source", 0))
    assert np.abs(store.read("warp/warp", 0).astype(int) - plain.read("warp/warp", 0)).max() > 4

    result = translate(inputs, "oeft", "--warp", "plain")
    assert result.exit_code == 2 and "warp.method" in result.output  # another configuration on the same run


def test_a_run_to_the_letter_with_regularization_keeps_one_column_more(inputs: Path) -> None:
    letter = {
        "warp.normalise": "concatenated",
        "oeft.contrastive_form": "literal",
        "oeft.context_form": "literal",
        "oeft.context_centre": "batch",
        "oeft.style_backbone": "vgg16-imagenet",
        "oeft.regularization": "cycle",
        "oeft.regularization_weight": "100.0",
        "oeft.iterations": "2",
    }
    result = translate(inputs, "letter", "--warp", "oeft", **letter)
    assert result.exit_code == 0, result.output
    store, row = kept(inputs / "letter")
    losses = store.read("warp/oeft_loss", 0)
    assert row["warp_method"] == "oeft" and losses.shape == (2, len(OEFT_TERMS) + 1)
    weights = np.array([1, 0, 0.1, -1, 100])
    assert np.abs(np.nansum(losses * weights, axis=1)).max() < 1e-4 * losses[0, 3]
    result = translate(inputs, "letter", "--warp", "oeft", **{**letter, "oeft.regularization": "none"})
    assert result.exit_code == 2 and "regularization_weight above 0 exactly" in " ".join(result.output.split())


def test_a_pair_that_cannot_be_fine_tuned_keeps_the_plain_warp_and_says_so(inputs: Path) -> None:
    assert translate(inputs, "plain").exit_code == 0
    result = translate(inputs, "oeft", "--warp", "oeft", **{"oeft.learning_rate": "1e30"})
    assert result.exit_code == 0, result.output
    plain, _ = kept(inputs / "plain")
    store, row = kept(inputs / "oeft")
    assert row["state"] == "done" and row["warp_method"] == "plain, oeft failed"
    assert np.array_equal(store.read("warp/warp", 0), plain.read("warp/warp", 0))


def test_a_wrong_layer_stops_the_run_before_the_first_pair(inputs: Path) -> None:
    result = translate(inputs, "oeft", "--warp", "oeft", **{"oeft.train_from": "conv9_1"})
    assert result.exit_code == 2
    assert "oeft.train_from = conv9_1 leaves nothing to fine-tune" in " ".join(result.output.split())
