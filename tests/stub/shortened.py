"""How commands of the documentation are run in seconds: fewer steps, smaller networks, and what the pages speak of.

A command keeps its words. What is added comes after them, where the last of two values counts.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from places import ROOT
from runs import PROFILE
from typer.testing import CliRunner

from flows.cli import app
from mgi.systems.face_alignment import FaceAlignment

RUNS = {"translate", "invert", "resume", "status", "report", "verify", "select", "export", "clean", "evaluate"}
"""Verbs whose runs compute with the stub method, unless the command names a method, networks or pictures of its own."""
OWN = ("--method ", "--video", ".jpg", "generator=", "models/", "--out runs/face ", "-kaokore", "faces-embedded")
"""In a command of `RUNS`: the real method is asked, at 64 pixels and for two steps."""
REAL = {
    "MGI_PROFILE": "quick",
    "MGI_INVERSION__STEPS": "2",
    "MGI_INVERSION__WARM_START": "0",
    "MGI_ALIGN__MODE": "never",
    "MGI_SELECTION__DOMAIN_SAMPLES": "16",
}
STUB = {"MGI_PROFILE": "stub.toml", "MGI_METHOD_FACTORY": "stub_method:load"}

SYSTEM = "--steps 2 --evaluate-every 2 --threads 1 --size 32 --set width=4 --set batch=2"
CRITIC = "--profile quick --set samples=5 --set steps=2 --set batch=2 --set width=8"
TWO_NUMBERS = "--workers 0 --metrics structure,swd"
COARSE = "--set selection.layer=relu2_2"
"""For `my-stylegan2.pt`, which stands for a large one and has 32 pixels."""
ADDED = {
    r"invert .*--out runs/face ": "--limit 1 --set inversion.steps=2 --set inversion.coarse_steps=0",
    r"invert .*--method (encoder|uda-inversion) --refine": "--profile embedded --limit 1 --refine 1",
    r"invert \S*\.jpg .*--method encoder": "--profile embedded",
    r"invert .*--method (encoder|uda-inversion)(?!.*options)": "--profile embedded --limit 1",
    r"(translate|invert) .*--extend": "--limit 3",
    r"translate .*my-stylegan2.pt": f"--limit 1 {COARSE}",
    r"translate .*--pairing product": "--limit 2",
    r"(translate|invert) .*(--method |generator=)": "--limit 1",
    r"(translate|invert) (?!.*\.jpg)": "--limit 2",
    r"evaluate trained-kaokore": f"--limit 1 {TWO_NUMBERS} --methods pix2pix,cyclegan",
    r"evaluate faces-embedded": f"--limit 1 {TWO_NUMBERS} --methods exemplar-warp",
    r"evaluate (runs/)?kaokore": f"--limit 2 {TWO_NUMBERS} --methods mgi,oeft,mganprior",
    r"evaluate --results": f"--limit 2 {TWO_NUMBERS}",
    r"evaluate": TWO_NUMBERS,
    r"train translator cocosnet": f"{SYSTEM} --size 64 --set hidden=4",
    r"train translator spade": f"{SYSTEM} --set hidden=4",
    r"train translator (unit|munit)": f"{SYSTEM} --set scales=2",
    r"train translator": SYSTEM,
    r"train generator (?!.*--resume)": "--steps 2 --set batch=2 --evaluate-every 2 --samples 16 --threads 1",
    r"train encoder": "--set samples=16 --set batch=4 --set pictures=2 --steps 2 --evaluate-every 2 --threads 1",
    r"train descriptor": "--set samples=8 --set calibration=3 --set steps=2 --set batch=2 --set buffer=4 "
    "--set held_out=2 --set width=8 --set inner=16",
    r"train critic": f"{CRITIC} {COARSE}",
    r"study build": "--sets 1",
    r"directions sample": "-n 60",
    r"directions ganspace": "-n 1100 --components 2",
    r"sample .*--out generated": "-n 60",
    r"sample": "-n 4",
}
"""Pattern of what follows `mgi` -> what is added; the first that fits."""
INSTEAD = [
    ("", {"GENERATOR": "kaokore-64", "$run": "runs/first", "fid": "swd"}),
    ("(train|directions|sample .*--out generated)", {"mobile-stylegan-ffhq": "kaokore-64"}),
]
"""Pattern of commands, and words of theirs that stand for something, or need files that nobody must have."""

PICTURES = {"photos": 2, "paintings": 2, "more": 1, "faces": 1, "small": 1, "sources": 1, "exemplars": 2, "new": 1}
PICTURES |= {"SOURCES": 1, "EXEMPLARS": 1, "IMAGES": 1, "my_images": 1, "lines": 1, "out": 2, "results": 2}
PICTURES |= {"originals": 2, "A": 1, "PICTURES": 1, "FOLDER": 1, "kaokore/train": 2, "FACES/female": 1, "FACES/male": 1}
"""Folders that the pages name, and how many pictures each has where nothing learns from them."""
LEARNT = 60
"""Pictures of each folder on a page that trains."""


def furnish(place: Path, learning: bool) -> None:
    """Put what readers are supposed to have into their folder."""
    draw = np.random.default_rng(0)
    for folder, count in PICTURES.items():
        (place / folder).mkdir(parents=True)
        for number in range(LEARNT if learning else count):
            coarse = Image.fromarray(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            coarse.resize((40, 40), Image.Resampling.BICUBIC).save(place / folder / f"picture-{number:02d}.png")
    (place / "found").mkdir()
    for number in range(LEARNT):
        Image.new("L", (40, 40)).save(place / "found" / f"picture-{number:02d}.png")
    for name in ("me.jpg", "painting.jpg"):
        Image.fromarray(draw.integers(0, 256, (60, 50, 3), dtype=np.uint8)).save(place / name)
    Image.fromarray(np.eye(64, dtype=np.uint8) * 255).save(place / "hole.png")
    (place / "stub.toml").write_text(PROFILE, encoding="utf-8")
    words = [("female", "male")[number % 2] for number in range(LEARNT)]
    rows = [f"picture-{number:02d}.png,{number},{word},{word}" for number, word in enumerate(words)]
    rows += [f"{word}/picture-{number:02d}.png,,{word}," for word in ("female", "male") for number in range(LEARNT)]
    (place / "labels.csv").write_text("\n".join(["file,index,gender,label", *rows]), encoding="utf-8")
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5}
    for name in ("found.json", "true.json"):
        (place / name).write_text(json.dumps([box]), encoding="utf-8")
    points = {"a.jpg": {"width": 40, "height": 40, "points": [{"name": "nose", "x": 20, "y": 20}]}}
    (place / "poses.json").write_text(json.dumps(points), encoding="utf-8")
    golden = ROOT / "tests" / "golden"
    shutil.copy(golden / "stylegan2_rosinality.pth", place / "my-stylegan2.pt")
    shutil.copy(golden / "swapping_autoencoder.pth", place / "latest_checkpoint.pth")
    torch.save({"state_dict": FaceAlignment().state_dict()}, place / "wing.ckpt")


def shortened(words: Sequence[str], last: Sequence[str] = ()) -> list[str]:
    """A command's words after `mgi`, as the shell would give them, and what makes it short.

    `...` stands for the words of the `last` command like it, without where it wrote to.
    """
    text = " ".join(words)
    more = next((added for pattern, added in ADDED.items() if re.match(pattern, text)), "")
    instead = {word: by for pattern, words_by in INSTEAD if re.match(pattern, text) for word, by in words_by.items()}
    found: list[str] = []
    for word in words:
        if word == "...":
            found += last
        elif "*" in word:
            found += sorted(map(str, Path().glob(word)))
        else:
            found.append(instead.get(word, word))
    return [*found, *more.split()]


def provide(words: Sequence[str]) -> None:
    """Make the runs that a command reads and its page did not make."""
    made = words[words.index("--out") + 1] if "--out" in words else ""
    for word in words:
        if not word.startswith("runs/") or "*" in word or word == made or Path(word).exists():
            continue
        if words[0] == "compare":
            shutil.copytree(words[2], word)
            continue
        folders = ["photos", "paintings", "--out", word, "--profile", "stub.toml", "--workers", "0", "--limit", "1"]
        with pytest.MonkeyPatch.context() as patch:
            surround(patch, real=False)
            assert CliRunner().invoke(app, ["translate", *folders]).exit_code == 0


def surround(patch: pytest.MonkeyPatch, real: bool) -> None:
    """The environment of a command that computes, or of one of the stub method."""
    for name in REAL | STUB:
        patch.delenv(name, raising=False)
    for name, value in (REAL if real else STUB).items():
        patch.setenv(name, value)
