"""`mgi train generator` as a user runs it: killed, continued, shared between processes, given wrong input."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from runs import command
from safetensors import safe_open
from typer.testing import CliRunner

from flows.cli import app
from mgi.generators import load_file
from mgi.images import to_uint8

RESIDUAL = ("--set", "discriminator=residual", "--set", "reconstruction=0", "--set", "r1=0.5", "--set", "r1_every=2")
SMALL = ("--resolution", "32", "--set", "base_channels=16", "--set", "z_dim=16", "--set", "batch=4", *RESIDUAL)
QUICK = ("--evaluate-every", "3", "--samples", "16", "--threads", "1")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures of mixed sizes and formats, one of them unreadable."""
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for number in range(60):
        height, width = draw.integers(32, 60, 2)
        coarse = draw.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((int(width), int(height)), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:02d}.{'jpg' if number % 2 else 'png'}")
    (folder / "broken.png").write_bytes(b"\x89PNG not really")
    return folder


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def train(*arguments: str | Path, check: int = 0) -> Done:
    """Run `mgi train generator` to its end, in this process: starting Python and PyTorch takes longer than the rest."""
    threads = torch.get_num_threads()
    result = CliRunner().invoke(app, ["train", "generator", *map(str, arguments)])
    torch.set_num_threads(threads)
    assert result.exit_code == check, result.output
    assert "Traceback" not in result.output
    return Done(result.exit_code, result.stdout, result.stderr)


def state_of(model: Path) -> dict[str, bytes]:
    """The files of a finished run that must not depend on how often it was stopped."""
    files = [model / "generator.safetensors", model / "metrics.csv", model / "card.md", *(model / "samples").iterdir()]
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of nine steps that nobody disturbed."""
    model = tmp_path_factory.mktemp("whole") / "model"
    done = train(images, "--out", model, "--steps", "9", "--licence", "CC0", *SMALL, *QUICK)
    assert "best Frechet distance" in done.stdout
    assert "1 images are left out" in done.stderr
    return model


def test_what_a_run_leaves(whole: Path) -> None:
    assert len(list((whole / "samples").iterdir())) == 3
    card = (whole / "card.md").read_text()
    assert "54 images trained on, 6 held out" in card
    assert "CC0" in card
    with safe_open(whole / "generator.safetensors", "pt") as file:
        assert file.metadata()["architecture"] == "pggan"
        assert file.metadata()["licence"] == "CC0"
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    generator = load_file(whole / "generator.safetensors")
    assert (generator.resolution, generator.z_dim, generator.layers) == (32, 16, 8)
    assert to_uint8(generator(torch.zeros(1, 16) + 1)).std() > 0


def test_killed_at_any_time_it_ends_the_same(images: Path, whole: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    arguments = (images, "--out", model, "--steps", "9", "--licence", "CC0", *SMALL, *QUICK)
    for after in ("checkpoint.pt", "samples/000000024.png"):
        resume = ("--resume",) if model.exists() else ()
        process = subprocess.Popen(
            command("train", "generator", *arguments, *resume),
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while not (model / after).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    train("--out", model, "--resume")  # nothing has to be said again
    assert state_of(model) == state_of(whole)


@pytest.mark.slow
def test_two_processes_share_a_batch(images: Path, tmp_path: Path) -> None:
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "flows.cli",
    ]
    options = ("train", "generator", images, "--out", tmp_path / "model", "--steps", "3", *SMALL, *QUICK)
    done = subprocess.run(
        [*launcher, *map(str, options)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    generator = load_file(tmp_path / "model" / "generator.safetensors")
    assert torch.isfinite(generator(torch.zeros(1, 16) + 1)).all()


def test_refusals_leave_everything_as_it_is(images: Path, whole: Path, tmp_path: Path) -> None:
    before = state_of(whole)
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(images.glob("0*.png")):
        (few / path.name).write_bytes(path.read_bytes())
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.txt").write_text("mine")
    small = (*SMALL, *QUICK)
    table = [
        ((tmp_path / "nowhere", "--out", tmp_path / "a", *small), 2, "does not exist"),
        ((few, "--out", tmp_path / "b", *small), 2, "holds 5 usable images, expected at least 50"),
        ((images, "--out", whole, *small), 2, "continue it with --resume"),
        ((images, "--out", whole, *small, "--resume", "--seed", "1"), 2, "seed: 0 -> 1"),
        ((few, "--out", whole, *small, "--resume"), 2, "changed since this training started"),
        ((images, "--out", tmp_path / "c", "--resume", *small), 2, "holds no training run"),
        ((images, "--out", stranger, *small), 2, "holds thesis.txt already"),
        ((images, "--out", tmp_path / "d", "--objective", "magic", *QUICK), 2, "objective"),
        ((images, "--out", tmp_path / "e", "--set", "magic=1", *QUICK), 2, "unknown training setting magic"),
        ((images, "--out", tmp_path / "f", "--resolution", "100", *QUICK), 2, "resolution"),
    ]
    for arguments, code, text in table:
        done = train(*arguments, check=code)
        lines = [line for line in done.stderr.splitlines() if line.startswith("mgi: ")]
        assert len(lines) == 1, done.stderr
        assert text in lines[0], lines[0]
    assert state_of(whole) == before
    assert (stranger / "thesis.txt").read_text() == "mine"


def test_a_foreign_checkpoint_is_refused(images: Path, whole: Path, tmp_path: Path) -> None:
    import shutil

    model = tmp_path / "model"
    shutil.copytree(whole, model)
    state = torch.load(model / "checkpoint.pt", weights_only=True)
    state["generator"]["to_rgb.weight"] = torch.zeros(3, 99, 1, 1)
    torch.save(state, model / "checkpoint.pt")
    arguments = (images, "--out", model, "--resume", "--steps", "12", "--licence", "CC0", *SMALL, *QUICK)
    done = train(*arguments, check=1)
    assert "another architecture" in done.stderr
    (model / "checkpoint.pt").write_bytes(b"PK\x03\x04 torn")
    assert "checkpoint.pt is damaged" in train(*arguments, check=1).stderr
    assert state_of(model) == state_of(whole)


def test_a_full_disk_keeps_what_was_there(images: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    arguments = (images, "--out", model, "--steps", "3", *SMALL, *QUICK)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))  # the images match, the checkpoint does not
    try:
        done = train(*arguments, check=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "no space left" in done.stderr
    assert not list(model.glob("*.part"))
    assert not (model / "checkpoint.pt").exists()
    train(*arguments, "--resume")
    assert (model / "generator.safetensors").exists()
