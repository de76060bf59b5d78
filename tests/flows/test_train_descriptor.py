"""`mgi train descriptor`: a file that the warp can use, and one line for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file
from tiny_mobile import tiny_mobile_state
from typer.testing import CliRunner

from flows.cli import app
from mgi.features import load_backbone
from mgi.profiles import load_config
from mgi.translators.descriptors import load_descriptor
from mgi.weights import WeightsMissing, path

SMALL = {"samples": 8, "calibration": 3, "steps": 2, "batch": 2, "buffer": 4, "held_out": 2, "width": 8, "inner": 16}


def trained(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["train", "descriptor", *(str(argument) for argument in arguments)])
    return result.exit_code, result.output


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    save_file(tiny_mobile_state(), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_a_generator_of_one_s_own_gets_a_descriptor_that_warps_can_use(generator: Path, tmp_path: Path) -> None:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    out = tmp_path / "d.safetensors"
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    code, said = trained(generator, "--out", out, *settings)
    assert code == 0 and "of the held-out features' variance, 8 samples" in said, said
    assert "# Descriptor of" in out.with_suffix(".md").read_text()
    changes = {"generator": str(generator), "warp.descriptor": "mixed", "warp.descriptor_file": str(out)}
    found = load_descriptor(load_config("quick", changes), load_backbone, "cpu")
    assert found is not None and found.facts.generator_layers == (5, 7)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--out", "d.pth"], "expected a file that ends with .safetensors"),
        (["--out", "absent/d.safetensors"], "there is no folder absent"),
        (
            ["--out", "d.safetensors", "--set", "sample=3"],
            "unknown setting sample (did you mean samples?); expected one of",
        ),
        (["--out", "d.safetensors", "--set", "samples=many"], "samples: expected a whole number, found 'many'"),
        (["--out", "d.safetensors", "--set", "samples=0"], "samples: expected more than 0"),
        (["--out", "d.safetensors", "--set", "samples=100"], "at least calibration + buffer = 464, found 100"),
        (["--out", "d.safetensors", "--set", "samples=-1"], "samples: expected more than 0"),
        (["--out", "d.safetensors", "--set", "learning_rate=fast"], "learning_rate: expected a number"),
    ],
)
def test_what_no_training_can_begin_with(
    arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = trained("mobile-stylegan-ffhq", *arguments)
    assert code == 2 and reason in said.replace("\n", " "), said
    assert len(list(tmp_path.iterdir())) == 0


def test_a_generator_that_is_not_there(tmp_path: Path) -> None:
    code, said = trained(tmp_path / "absent.pth", "--out", tmp_path / "d.safetensors")
    assert code in (1, 2) and "absent.pth" in said.replace("\n", "")
