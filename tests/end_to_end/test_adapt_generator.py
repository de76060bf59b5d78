"""`mgi train generator --from` as a user runs it: reproduced, stopped and continued, given wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_mobile import tiny_mobile_state
from typer.testing import CliRunner

from flows.cli import app
from mgi.generators import load_file
from mgi.training.adapted import AdaptedMobile

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = ("--resolution", "32", "--set", "base_channels=16", "--set", "z_dim=8", "--set", "batch=4")
QUICK = ("--set", "discriminator=residual", "--evaluate-every", "2", "--samples", "16", "--threads", "1")
OPTIONS = (*SMALL, *QUICK, "--set", "head_start=4", "--set", "consistency=100", "--licence", "CC0")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures of soft colours."""
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for number in range(60):
        coarse = Image.fromarray(draw.integers(0, 256, (3, 3, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parent") / "parent.safetensors"
    save_file(tiny_mobile_state(), path)
    return path


def train(*arguments: str | Path, check: int = 0) -> str:
    """Run `mgi train generator` to its end; what it printed, on one line."""
    threads = torch.get_num_threads()
    result = CliRunner().invoke(app, ["train", "generator", *map(str, arguments)])
    torch.set_num_threads(threads)
    assert result.exit_code == check, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def state_of(model: Path) -> dict[str, bytes]:
    files = [model / "generator.safetensors", model / "metrics.csv", model / "card.md", *(model / "samples").iterdir()]
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(images: Path, parent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps that nobody disturbed."""
    model = tmp_path_factory.mktemp("whole") / "model"
    text = train(images, "--from", parent, "--out", model, "--steps", "4", *OPTIONS)
    assert f"cutting {parent} at 32 x 32 and fitting its image head fit: 4 of 64" in text
    assert "stays as it is" not in text
    return model


def test_an_adapted_generator_is_one_of_its_parents_kind(whole: Path, parent: Path) -> None:
    generator = load_file(whole / "generator.safetensors")
    assert (generator.resolution, generator.z_dim, type(generator).__name__) == (32, 8, "MobileStyleGAN")
    with safe_open(whole / "generator.safetensors", "pt") as file:
        facts = file.metadata()
    assert (facts["architecture"], facts["licence"]) == ("mobile-stylegan", "CC0")
    grids = sorted(path.name for path in (whole / "samples").iterdir())
    assert grids == ["000000008-truncated.png", "000000008.png", "000000016-truncated.png", "000000016.png"]
    card = " ".join((whole / "card.md").read_text().split())
    header = json.loads((whole / "training.json").read_text())["config"]
    assert f"--from {parent}" in card
    assert header["parent_sha256"][:12] in card
    assert "licence of that generator holds for this one, too: not stated in its file." in card
    assert facts["parent_sha256"] == json.loads((whole / "training.json").read_text())["config"]["parent_sha256"]
    assert facts["parent_licence"].startswith("not stated")


def test_the_generator_of_a_checkpoint_is_the_running_average(whole: Path) -> None:
    """As that of the exported file is; the one that is trained wavers."""
    state = torch.load(whole / "checkpoint.pt", weights_only=True)
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    found, expected, other = (
        generator(z)  # type: ignore[operator]
        for generator in (
            load_file(whole / "checkpoint.pt"),
            AdaptedMobile(state["average"]),
            AdaptedMobile(state["generator"]),
        )
    )
    torch.testing.assert_close(found, expected.detach(), rtol=1e-3, atol=1e-3)
    assert float((found - other).detach().abs().max()) > 1e-2


def test_a_short_run_is_reproduced_bit_for_bit(images: Path, parent: Path, whole: Path, tmp_path: Path) -> None:
    """Stopped after two steps and continued, it ends with the bytes of the run that nobody stopped."""
    arguments = (images, "--from", parent, "--out", tmp_path / "model")
    train(*arguments, "--steps", "2", *OPTIONS)
    text = train("--out", tmp_path / "model", "--steps", "4", "--resume")  # all other settings are those of before
    assert "32 x 32 train: 3 of 4" in text  # the checkpoint has an image head: fitting another one takes a minute
    assert state_of(tmp_path / "model") == state_of(whole)


@pytest.mark.parametrize(
    ("name", "kind", "grids"), [("pggan_ganzoo", "PGGAN", 1), ("stylegan2_rosinality", "StyleGAN2", 2)]
)
def test_other_architectures_are_adapted_with_codes_of_their_own_length(
    name: str, kind: str, grids: int, images: Path, tmp_path: Path
) -> None:
    small = [part for at, part in enumerate(OPTIONS) if "z_dim=8" not in OPTIONS[at : at + 2]]
    model = tmp_path / "model"
    train(images, "--from", GOLDEN / f"{name}.pth", "--out", model, "--steps", "2", *small)
    generator = load_file(model / "generator.safetensors")
    assert (type(generator).__name__, generator.resolution) == (kind, 32)
    assert generator.z_dim == load_file(GOLDEN / f"{name}.pth").z_dim
    assert f"A {kind} in " in (model / "card.md").read_text()
    assert len(list((model / "samples").iterdir())) == grids
    train("--out", model, "--steps", "4", "--resume")
    train(images, "--from", GOLDEN / f"{name}.pth", "--out", tmp_path / "whole", "--steps", "4", *small)
    assert state_of(model) == state_of(tmp_path / "whole")


def test_a_training_that_ends_before_the_generator_moves_says_so(images: Path, parent: Path, tmp_path: Path) -> None:
    arguments = (images, "--from", parent, *OPTIONS, "--set", "head_start=12")
    alone = train(*arguments, "--out", tmp_path / "a", "--steps", "3")
    assert "the discriminator learns alone, for 12 images (head_start), and 3 steps show no more" in alone
    assert "learns alone" not in train(*arguments, "--out", tmp_path / "b", "--steps", "4")


def test_refusals_are_one_line(images: Path, parent: Path, whole: Path, tmp_path: Path) -> None:
    before, other = state_of(whole), tmp_path / "other.safetensors"
    state = tiny_mobile_state()
    save_file(state | {"synthesis.input": 2 * state["synthesis.input"]}, other)
    new, old = ("--out", tmp_path / "new"), ("--out", whole, "--resume")
    table = [
        ((parent, *new, *OPTIONS, "--resolution", "128"), 1, "it has 16, 32, 64, asked for 128; use one of those"),
        (
            (parent, *new, *OPTIONS, "--set", "z_dim=16"),
            1,
            "its codes have 8 numbers, expected 16; use --set z_dim=8",
        ),
        ((parent, *new, *OPTIONS, "--set", "batch=60"), 1, "54 images do not fill a batch of 60"),
        ((parent, *new, *OPTIONS, "--set", "freeze=['nose']"), 2, "freeze"),
        (("", *new, *OPTIONS), 2, "--from: expected a generator, found nothing"),
        (("no-such-name", *new, *OPTIONS), 1, "expected a generator of the zoo"),
        ((GOLDEN / "stylegan_genforce.pth", *new, *OPTIONS), 1, "StyleGAN2, PGGAN, found a StyleGAN"),
        (
            (parent, "--out", tmp_path / "wild", *OPTIONS, "--set", "learning_rate=1e9", "--set", "head_start=0"),
            1,
            "with a smaller --set learning_rate and generator_rate or",
        ),
        # What was adapted is another generator than its parent, and no run takes one for the other.
        ((whole / "generator.safetensors", *new, *OPTIONS, "--resolution", "64"), 1, "it has 16, 32, asked for 64"),
        ((whole / "generator.safetensors", *old, *OPTIONS, "--steps", "6"), 2, "was started with other settings"),
        ((other, *old, *OPTIONS, "--steps", "6"), 2, "parent_sha256"),
    ]
    for (start, *rest), code, text in table:
        found = train(images, "--from", start, *rest, check=code)
        assert found.count("mgi: ") == 1
        assert text in found
    assert state_of(whole) == before
    train(images, "--from", parent, *new, *OPTIONS, "--steps", "1")  # what was refused left nothing in the way
