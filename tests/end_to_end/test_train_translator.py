"""`mgi train translator` as a user runs it: trained, stopped and continued, used in a run, given wrong folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from flows.cli import app
from mgi.images import to_float
from mgi.systems.conditions import edges
from mgi.systems.drawing import encoded
from mgi.systems.files import read_system

SMALL = ("--size", "32", "--set", "width=4", "--set", "batch=2", "--evaluate-every", "2", "--threads", "1")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures of soft colours, in a folder for each of two domains."""
    folder = tmp_path_factory.mktemp("faces")
    draw = np.random.default_rng(0)
    for number in range(60):
        domain = folder / ("cold" if number % 3 else "warm")
        domain.mkdir(exist_ok=True)
        coarse = Image.fromarray(draw.integers(0, 256, (3, 3, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(domain / f"{number:02d}.png")
    return folder


def mgi(*arguments: str | Path, check: int = 0) -> str:
    """Run the command to its end; what it printed, on one line."""
    threads = torch.get_num_threads()
    result = CliRunner().invoke(app, [*map(str, arguments)])
    torch.set_num_threads(threads)
    assert result.exit_code == check, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def train(*arguments: str | Path, check: int = 0) -> str:
    return mgi("train", "translator", *arguments, check=check)


@pytest.fixture(scope="module")
def whole(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps of edges to pictures that nobody disturbed."""
    model = tmp_path_factory.mktemp("whole") / "model"
    train("pix2pix", faces, "--condition", "edges", "--out", model, "--steps", "4", *SMALL, "--licence", "CC0")
    return model


def test_a_run_that_was_stopped_equals_one_that_was_not(faces: Path, whole: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    asked = ("pix2pix", faces, "--condition", "edges", "--out", model, *SMALL)
    train(*asked, "--steps", "4", "--set", "decay_from=1", "--set", "jitter=false")
    steady = (model / "translator.safetensors").read_bytes()
    other = tmp_path / "other"
    train(
        "pix2pix",
        faces,
        "--condition",
        "edges",
        "--out",
        other,
        *SMALL,
        "--steps",
        "2",
        "--set",
        "decay_from=1",
        "--set",
        "jitter=false",
    )
    text = train("pix2pix", "--resume", "--out", other, "--steps", "4")
    assert "4 steps" in text
    assert (other / "translator.safetensors").read_bytes() == steady
    tables = [pd.read_csv(folder / "metrics.csv").drop(columns="seconds") for folder in (model, other)]
    assert tables[0].equals(tables[1])


def test_killed_it_goes_on_as_if_nothing_had_happened(faces: Path, tmp_path: Path) -> None:
    """Of CycleGAN, whose history of pictures is a part of what has to come back."""
    asked = ("cyclegan", faces, "--condition", "grey", *SMALL, "--set", "blocks=1", "--set", "history=4")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(*asked, "--out", whole, "--steps", "8")
    words = map(str, ("train", "translator", *asked, "--out", killed, "--steps", "8", "--quiet"))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "flows.cli", *words], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (killed / "checkpoint.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    train("--out", killed, "--resume")  # nothing has to be said again
    assert (killed / "translator.safetensors").read_bytes() == (whole / "translator.safetensors").read_bytes()
    tables = [pd.read_csv(folder / "metrics.csv").drop(columns="seconds") for folder in (whole, killed)]
    assert tables[0].equals(tables[1])


def test_a_run_has_scores_grids_and_a_card(whole: Path) -> None:
    assert sorted(path.name for path in (whole / "samples").iterdir()) == ["0000002.png", "0000004.png"]
    with Image.open(whole / "samples" / "0000004.png") as grid:
        assert grid.size[0] == 3 * 32  # edges, result, truth
    header, *rows = (whole / "metrics.csv").read_text().splitlines()
    assert header.startswith("step,images,seconds,frechet,l1,loss_") and len(rows) == 2
    card = (whole / "card.md").read_text()
    assert "CC0" in card and "by `edges`" in card


def test_the_model_is_a_method(faces: Path, whole: Path, tmp_path: Path) -> None:
    model = whole / "translator.safetensors"
    one = tmp_path / "one.png"
    picture = faces / "cold" / "01.png"
    options = ("--profile", "quick", "--method", "pix2pix", "--set", f"options.model={model}")
    mgi("translate", picture, faces / "warm" / "00.png", "--out", one, *options, "--set", "align.mode=never")
    system, _ = read_system(model)
    with Image.open(picture) as image:
        source = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS))
    assert to_float(np.asarray(Image.open(one))).shape == (1, 3, 32, 32)
    a = encoded(edges(source)[None], 0)
    assert a.shape == (1, 3, system.config.size, system.config.size)


def test_a_small_picture_is_enlarged(faces: Path, tmp_path: Path) -> None:
    model, one = tmp_path / "model", tmp_path / "one.png"
    train("srresnet", faces, "--out", model, "--steps", "2", *SMALL, "--set", "blocks=1")
    with Image.open(model / "samples" / "0000002.png") as grid:
        assert grid.size[0] == 3 * 32  # what it saw, enlarged by repetition; result; truth
        seen = np.asarray(grid.crop((0, 0, 32, 32)))
    assert np.array_equal(seen, seen[::4, ::4].repeat(4, 0).repeat(4, 1))
    options = (
        "--profile",
        "quick",
        "--method",
        "srresnet",
        "--set",
        f"options.model={model / 'translator.safetensors'}",
    )
    mgi(
        "translate",
        faces / "cold" / "01.png",
        faces / "warm" / "00.png",
        "--out",
        one,
        *options,
        "--set",
        "align.mode=never",
    )
    with Image.open(one) as image:
        assert image.size == (32, 32)


def test_domains_are_named_by_folders_or_by_a_table(faces: Path, tmp_path: Path) -> None:
    """Both say the same here, so both train the same."""
    files = sorted(faces.rglob("*.png"))
    table = tmp_path / "labels.csv"
    table.write_text("file,tone\n" + "".join(f"{file.name},{file.parent.name}\n" for file in files))
    rare = tmp_path / "rare.csv"  # of every ten pictures the first is held out
    rare.write_text("file,tone\n" + "".join(f"{x.name},{'a' if n in (0, 10) else 'b'}\n" for n, x in enumerate(files)))
    text = train("stargan-v2", faces, "--domains", f"{rare}:tone", "--out", tmp_path / "rare", *SMALL, check=2)
    assert "every picture of the domain a is held out to measure by; bring more of it" in text
    folders, listed = tmp_path / "folders", tmp_path / "listed"
    train("stargan-v2", faces, "--out", folders, *SMALL, "--steps", "1")
    train("stargan-v2", faces, "--domains", f"{table}:tone", "--out", listed, *SMALL, "--steps", "1")
    model = listed / "translator.safetensors"
    assert (folders / "translator.safetensors").read_bytes() == model.read_bytes()
    with Image.open(folders / "samples" / "0000001.png") as grid:
        assert grid.size[0] == 3 * 32  # source, exemplar, result
    pair = (files[0], files[-1])
    asked = ("--profile", "quick", "--method", "stargan-v2", "--set", f"options.model={model}")
    for domain, found in (("hot", "found hot"), (None, "found none")):
        named = ("--set", f"options.domain={domain}") if domain else ()
        text = mgi("translate", *pair, "--out", tmp_path / "x.png", *asked, *named, check=2)
        assert f"options.domain: expected one of cold, warm, {found}" in text
    one = tmp_path / "one.png"
    mgi("translate", *pair, "--out", one, *asked, "--set", "options.domain=warm", "--set", "align.mode=never")
    assert to_float(np.asarray(Image.open(one))).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pix3pix", "{faces}"), "unknown system 'pix3pix'"),
        (("pix2pix", "{faces}"), "pix2pix learns from A and B; give a second folder, or make A of B by --condition"),
        (("pix2pix", "{faces}", "--condition", "smell"), "--condition: expected one of edges"),
        (("pix2pix", "{faces}", "{faces}", "--condition", "edges"), "expected no second folder"),
        (("pix2pix", "{faces}", "--condition", "edges", "--domains", "x.csv:a"), "pix2pix knows no domains"),
        (("pix2pix", "{faces}", "--condition", "edges", "--set", "colour=3"), "unknown training setting colour"),
        (("pix2pix", "{faces}", "--condition", "edges", "--set", "batch=100"), "do not fill a batch of 100"),
        (("pix2pix", "{faces}", "{other}"), "pictures of {other} have no namesake in {faces}, such as "),
        (("cyclegan", "{faces}", "{other}", "--set", "labels=3"), "cyclegan learns from pictures on both sides"),
        (("pix2pix", "{nowhere}", "--condition", "edges"), "does not exist; give a folder of images"),
        (("pix2pix", "--resume"), "holds no training run"),
        ((), "SYSTEM is missing"),
        (("stargan-v2", "{faces}", "{other}"), "stargan-v2 learns from one folder"),
        (("stargan-v2", "{other}"), "expected a subfolder for every domain, found x0.png beside them"),
        (
            ("stargan-v2", "{lonely}"),
            "two domains of two pictures each, found {{'cold': 59, 'warm': 1}}; bring more of",
        ),
        (("stargan-v2", "{faces}", "--domains", "nowhere.csv:age"), "expected FILE.csv:COLUMN, found nowhere.csv:age"),
        (("stargan-v2", "{both}", "--set", "w_hpf=1"), "landmarks: expected the public code's wing.ckpt, which w_hpf"),
    ],
)
def test_what_cannot_be_trained_is_one_line(faces: Path, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for number, path in enumerate(sorted(faces.rglob("*.png"))):
        (other / f"x{number}.png").write_bytes(path.read_bytes())
    lonely, both = tmp_path / "lonely", tmp_path / "both"
    for number, path in enumerate(sorted(faces.rglob("*.png"))):
        for domain in (lonely / ("warm" if number == 7 else "cold"), both / ("warm", "cold")[number % 2]):
            domain.mkdir(parents=True, exist_ok=True)
            (domain / path.name).write_bytes(path.read_bytes())
    places = {"faces": faces, "other": other, "lonely": lonely, "both": both, "nowhere": tmp_path / "nowhere"}
    asked = [argument.format(**places) for argument in arguments]
    text = train(*asked, "--out", tmp_path / "model", "--size", "32", "--set", "width=4", "--threads", "1", check=2)
    assert said.format(**places) in text
    assert text.startswith("mgi: ")


def test_a_condition_of_labels_says_how_many_there_are(faces: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    asked = ("pix2pix", faces, "--condition", "segments", "--out", model, *SMALL)
    assert "makes 16 classes" in train(*asked, "--steps", "1", "--set", "labels=9", check=2)
    train(*asked, "--steps", "1")
    assert "2 steps" in train("pix2pix", "--resume", "--out", model, "--steps", "2")
    system, facts = read_system(model / "translator.safetensors")
    assert (system.config.labels, facts.condition) == (16, "segments")
    run = tmp_path / "run"
    options = (
        "--method",
        "pix2pix",
        "--profile",
        "quick",
        "--set",
        f"options.model={model / 'translator.safetensors'}",
    )
    mgi("translate", faces / "warm", faces / "warm", "--out", run, "--limit", "1", "--workers", "0", *options)
    assert len(list((run / "final").iterdir())) == 1


def test_cocosnet_is_trained_and_then_a_method_with_its_warp(faces: Path, tmp_path: Path) -> None:
    model, run = tmp_path / "model", tmp_path / "run"
    tiny = ("--size", "64", "--set", "width=4", "--set", "hidden=4", "--set", "batch=2", "--threads", "1")
    train("cocosnet", faces, "--condition", "segments", "--out", model, "--steps", "1", *tiny)
    options = [f"options.model={model / 'translator.safetensors'}", "options.matching=patchmatch"]
    asked = [part for option in options for part in ("--set", option)]
    pair = (faces / "warm", faces / "cold", "--pairing", "random", "--limit", "1", "--workers", "0")
    mgi("translate", *pair, "--out", run, "--method", "cocosnet", "--profile", "quick", *asked)
    with Image.open(next((run / "final").iterdir())) as image:
        assert image.size == (64, 64)
    wrong = mgi("translate", *pair, "--out", tmp_path / "no", "--method", "cocosnet", "--profile", "quick", check=1)
    assert (
        "expected options.model, a file that `mgi train translator cocosnet` made, or options.correspondence" in wrong
    )
