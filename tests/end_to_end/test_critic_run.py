"""`mgi train critic` and a run that chooses by it, then by another rule and back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from places import EXAMPLES, ROOT
from safetensors.torch import save_file
from tiny_mobile import tiny_mobile_state
from typer.testing import CliRunner, Result

from flows.cli import app
from mgi.weights import WeightsMissing, path

PAINTINGS = sorted(EXAMPLES.glob("*/kaokore-*.jpg"))[:2]
PICTURES = {"warp.image_size": 64, "inversion.perceptual_size": 64, "selection.domain_samples": 16}
SMALL = {"samples": 5, "inverted": 2, "steps": 3, "batch": 2, "width": 8}

pytestmark = pytest.mark.slow


def mgi(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sets(settings: dict[str, object]) -> list[str]:
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    try:
        monkeypatch.setenv("MGI_WEIGHTS_DIR", str(path("vgg16-imagenet").parent))
    except WeightsMissing as error:
        pytest.skip(str(error))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_file(tiny_mobile_state(), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_a_generator_that_is_too_small_for_the_layer_is_one_line(generator: Path, tmp_path: Path) -> None:
    small = ROOT / "tests" / "golden" / "stylegan2_rosinality.pth"  # 32 pixels
    made = mgi("train", "critic", small, "--out", tmp_path / "c.safetensors", "--profile", "quick")
    assert made.exit_code == 2 and len(made.stderr.splitlines()) == 1, made.output
    assert "expected at least 16x16; use a shallower layer" in made.stderr


def test_a_run_chooses_by_a_critic_of_its_own(generator: Path, tmp_path: Path) -> None:
    file = tmp_path / "critic.safetensors"
    search = {"inversion.hypotheses": '["L03N02","L04N02"]', "inversion.steps": 2, "inversion.warm_start": 0}
    made = mgi("train", "critic", generator, "--out", file, "--profile", "quick", *sets(SMALL | PICTURES | search))
    assert made.exit_code == 0 and "right on held-out pairs: torn " in made.output, made.output
    card = " ".join(file.with_suffix(".md").read_text().split())
    assert "# Critic of" in card and "the results of 2 translations, whose numbers differ by" in card
    for side, painting in zip(("sources", "exemplars"), PAINTINGS, strict=True):
        (tmp_path / side).mkdir()
        shutil.copy(painting, tmp_path / side)
    changes: dict[str, object] = {
        "generator": generator,
        "inversion.hypotheses": '["L03N02","L04N02","L05N02"]',
        "inversion.steps": 2,
        "inversion.warm_start": 0,
        "selection.rule": "critic",
        "selection.critic_file": file,
        "selection.fidelity_bound": 100,
        **PICTURES,
    }
    folders = (tmp_path / "sources", tmp_path / "exemplars", "--out", tmp_path / "run")
    done = mgi("translate", *folders, "--profile", "quick", "--workers", 0, *sets(changes))
    assert done.exit_code == 0, done.output
    lanes = pd.read_csv(tmp_path / "run" / "tables" / "hypotheses.csv")
    assert lanes["critic"].notna().all() and lanes["critic"].nunique() == 3

    def pair() -> pd.Series:
        return pd.read_csv(tmp_path / "run" / "tables" / "pairs.csv").iloc[0]

    best = lanes.loc[lanes["critic"].idxmin(), "hypothesis"]
    assert (pair()["rule"], pair()["hypothesis"]) == ("critic", best)
    assert "critic" in (tmp_path / "run" / "report.html").read_text()
    assert mgi("select", tmp_path / "run", "--rule", "spatial-fd").exit_code == 0
    assert (pair()["rule"], pair()["hypothesis"]) == (
        "spatial-fd",
        lanes.loc[lanes["spatial-fd"].idxmin(), "hypothesis"],
    )
    assert mgi("select", tmp_path / "run", "--critic-margin", 1e-6).exit_code == 0
    assert (pair()["rule"], pair()["hypothesis"]) == ("spatial-fd", best)  # whatever it says, only the best is left
    lanes = pd.read_csv(tmp_path / "run" / "tables" / "hypotheses.csv")
    assert lanes["guarded"].tolist() == (lanes["hypothesis"] != best).tolist()
    assert "critic margin 1e-06" in (tmp_path / "run" / "report.html").read_text()
    assert mgi("select", tmp_path / "run", "--rule", "critic", "--critic-margin", 0).exit_code == 0
    assert (pair()["rule"], pair()["hypothesis"]) == ("critic", best)
    file.unlink()
    gone = mgi("translate", *folders[:3], tmp_path / "other", "--profile", "quick", *sets(changes))
    assert gone.exit_code == 2 and "critic.safetensors is no file" in gone.output.replace("\n", "")


def test_warps_larger_than_the_generator_are_refused(tmp_path: Path) -> None:
    asked = ("--profile", "quick", "--out", tmp_path / "c.safetensors", "--set", "inverted=1")
    refused = mgi("train", "critic", "kaokore-64", *asked)
    assert refused.exit_code == 2 and "--set warp.image_size=64" in refused.output.replace("\n", " "), refused.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--out", "c.pth"], "expected a file that ends with .safetensors"),
        (
            ["--out", "c.safetensors", "--set", "sample=3"],
            "unknown setting sample (did you mean samples?); expected one of samples, ",
        ),
        (["--out", "c.safetensors", "--set", "samples=0"], "samples: expected more than 0"),
        (["--out", "c.safetensors", "--set", "inverted=2"], "inverted: kaokore has no styles to mix"),
        (["--out", "c.safetensors", "--set", "warp.nothing=1"], "warp.nothing"),
    ],
)
def test_what_no_training_can_begin_with(
    arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = mgi("train", "critic", "kaokore", "--profile", "quick", *arguments)
    assert refused.exit_code == 2 and reason in refused.output.replace("\n", " "), refused.output
    assert len(list(tmp_path.iterdir())) == 0
