"""`mgi train encoder` as a user runs it: on samples and pictures, killed, continued, adapted, given wrong input."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from runs import command
from typer.testing import CliRunner

from flows.cli import app
from mgi.encoders.files import read_facts

pytestmark = pytest.mark.slow
SMALL = ("--generator", "kaokore-64", "--set", "samples=16", "--set", "batch=4", "--set", "pictures=2")
QUICK = ("--steps", "4", "--evaluate-every", "2", "--threads", "1", "--licence", "CC0")


@pytest.fixture(scope="module", autouse=True)
def few() -> object:
    """Fewer samples that only measure: each is drawn."""
    patch = pytest.MonkeyPatch()
    patch.setattr("tasks.encoder_material.HELD_OUT", 8)
    yield patch
    patch.undo()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for number in range(56):
        coarse = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((70, 64), Image.Resampling.BICUBIC).save(folder / f"{number:02d}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG not really")
    return folder


def run(*arguments: str | Path, check: int | None = 0) -> str:
    threads = torch.get_num_threads()
    result = CliRunner().invoke(app, [*map(str, arguments)])
    torch.set_num_threads(threads)
    assert result.exit_code == check or (check is None and result.exit_code in (1, 2)), result.output
    assert "Traceback" not in result.output
    return result.output


def train(*arguments: str | Path, check: int = 0) -> str:
    return run("train", "encoder", *arguments, *SMALL, *QUICK, check=check)


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapted to the second half of the pictures, and disturbed by nobody."""
    model = tmp_path_factory.mktemp("whole") / "model"
    said = train("--images", images, "--adapt", "mask+down2", "--out", model)
    assert "best at step" in said and "target-l2" in said
    return model


def files_of(model: Path) -> dict[str, bytes]:
    found = [model / "encoder.safetensors", model / "metrics.csv", model / "card.md", *(model / "samples").iterdir()]
    return {path.name: path.read_bytes() for path in found}


def test_what_a_run_leaves(whole: Path) -> None:
    table = pd.read_csv(whole / "metrics.csv")
    assert list(table["step"]) == [2, 4] and {"samples-l2", "pictures-perceptual", "target-l2", "explained"} <= {*table}
    facts, card = read_facts(whole / "encoder.safetensors"), (whole / "card.md").read_text()
    # 56 pictures: 6 held out, and the others in halves.
    assert facts.target == "mask+down2" and facts.card["trained_on"] == "16 known and 25 real and 25 target"
    assert "CC0" in card and "adapted to pictures that went through: mask+down2" in card
    with Image.open(whole / "samples" / "000000004.png") as grid:
        assert grid.width == 16 * 128 and grid.height % 128 == 0


def test_killed_at_any_time_it_ends_the_same(whole: Path, images: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    arguments = ("--images", str(images), "--adapt", "mask+down2", "--out", str(model))
    begun = "import tasks.encoder_material as m; m.HELD_OUT = 8; from flows.cli import main; main()"
    process = subprocess.Popen(
        [command()[0], "-c", begun, "train", "encoder", *arguments, *SMALL, *QUICK],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (model / "checkpoint.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (model / "checkpoint.pt").exists()
    run("train", "encoder", "--out", model, "--resume")  # nothing has to be said again
    assert files_of(model) == files_of(whole)
    assert "was started with other settings (seed: 0 -> 1)" in train(*arguments, "--resume", "--seed", "1", check=2)
    assert "holds a training run; continue it with --resume" in train(*arguments, check=2)


def test_an_encoder_inverts_damaged_pictures(whole: Path, images: Path, tmp_path: Path) -> None:
    file = f"options.encoder={whole / 'encoder.safetensors'}"
    for method in ("encoder", "uda-inversion"):
        out = tmp_path / method
        run(
            *("invert", images, "--limit", "2", "--method", method, "--profile", "quick", "--set", file),
            *("--degrade", "rain-layers+mask+down2+jpeg50", "--out", out, "--metrics", "psnr"),
        )
        pairs = pd.read_csv(out / "tables" / "pairs.csv")
        assert len(pairs) == 2 and pairs["psnr"].notna().all()
        finished = sorted((out / "final").iterdir())
        assert len(finished) == 2
        with Image.open(finished[0]) as picture:
            assert picture.size == (64, 64)


def test_training_goes_on_from_another_encoder(whole: Path, tmp_path: Path) -> None:
    file = whole / "encoder.safetensors"
    said = train("--from", file, "--out", tmp_path / "model", "--set", "learning_rate=1e-9")
    assert "best at step" in said
    before, after = (read_facts(path).errors["samples-l2"] for path in (file, tmp_path / "model/encoder.safetensors"))
    assert abs(before - after) < 2e-3
    said = train("--from", file, "--out", tmp_path / "other", "--set", "components=64", check=1)
    assert "expected a small encoder of kaokore-64 with 64 components, found a small one" in said


def test_samples_may_be_damaged_while_their_latents_stay_known(tmp_path: Path) -> None:
    said = train("--out", tmp_path / "model", "--set", "damaged=0.5", "--set", "degradation=mask+down2")
    assert "target-l2" in said and "target domain" not in (tmp_path / "model" / "card.md").read_text()
    facts = read_facts(tmp_path / "model" / "encoder.safetensors")
    assert facts.target == "" and facts.card["damaged"] == "mask+down2"
    assert "50% of its samples went through mask+down2" in (tmp_path / "model" / "card.md").read_text()
    said = train("--out", tmp_path / "other", "--set", "damaged=0.5", check=2)
    assert "damaged samples need a degradation" in said


def test_a_folder_of_damaged_pictures_is_a_target_domain(images: Path, tmp_path: Path) -> None:
    train("--target", images, "--out", tmp_path / "model")
    assert read_facts(tmp_path / "model" / "encoder.safetensors").target == "given"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--adapt", "fog"), "degradation: expected none, down2 to down16"),
        (("--adapt", "mask", "--target", "here"), "--adapt and --target are two ways"),
        (("--set", "pictures=1", "--adapt", "mask"), "the discrepancy compares rendered pictures"),
        (("--set", "samples=0"), "there is nothing to learn from"),
        (("--from", "nowhere"), "--from: expected an encoder.safetensors"),
        (("--arch", "huge"), "arch: Input should be 'small'"),
        (("--arch", "psp", "--generator", "kaokore"), "arch psp says styles of 512 dimensions"),
        (("--set", "samples=3"), "3 pictures do not fill a batch of 4"),
        (("--set", "samples=3", "--adapt", "mask"), "a batch needs at least 2 pictures, found 1"),
        (("--images", "no-folder"), "no-folder"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    said = run("train", "encoder", "--out", tmp_path / "m", *SMALL, *QUICK, *arguments, check=None)
    assert expected in said and len(said.strip().splitlines()) <= 2
    # Nothing was drawn first, and the folder can be trained into.
    assert not (tmp_path / "m" / "known").exists() and not (tmp_path / "m" / "training.json").exists()


@pytest.mark.long
def test_a_fusion_for_an_encoder(images: Path, tmp_path: Path) -> None:
    """`--arch hfgi`: learnt for an encoder, and used by the method hfgi."""
    of = ("--generator", "kaokore-128", "--set", "samples=4", "--set", "batch=2", "--threads", "1")
    run("train", "encoder", "--out", tmp_path / "encoder", *of, "--set", "pictures=2", "--steps", "2")
    encoder = tmp_path / "encoder" / "encoder.safetensors"
    hfgi = ("train", "encoder", "--arch", "hfgi", *of, "--set", "fusion_width=8", "--evaluate-every", "2")
    said = run(*hfgi, "--out", tmp_path / "whole", "--from", encoder, "--steps", "2")
    assert "strange-l2" in said and "fusion.safetensors" in said
    card = (tmp_path / "whole" / "card.md").read_text()
    assert "Consultation fusion (HFGI) of kaokore-128" in card and "encoder encoder.safetensors" in card
    named = (
        "--set",
        f"options.encoder={encoder}",
        "--set",
        f"options.fusion={tmp_path / 'whole' / 'fusion.safetensors'}",
    )
    to = ("--method", "hfgi", "--profile", "quick", "--set", "generator=kaokore-128", "--limit", "1")
    run("invert", images, "--out", tmp_path / "run", *to, *named, "--workers", "0")
    (result,) = (tmp_path / "run" / "final").glob("*.png")
    with Image.open(result) as image:
        assert image.size == (128, 128)

    assert "none ships; name yours by --from ENCODER" in run(*hfgi, "--out", tmp_path / "none", check=2)
    wrong = run(*hfgi, "--out", tmp_path / "none", "--from", encoder, "--generator", "kaokore-64", check=1)
    assert "expected an encoder of kaokore-64, found one of kaokore-128" in wrong
