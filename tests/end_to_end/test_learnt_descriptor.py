"""A generator that ships without a descriptor gets one at its first use (`warp.descriptor_samples`), once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from places import EXAMPLES
from platformdirs import user_cache_path
from safetensors.torch import save_file
from tiny_mobile import tiny_mobile_state
from typer.testing import CliRunner, Result

from flows.cli import app
from mgi.config import ConfigError
from mgi.profiles import load_config
from mgi.translators.descriptors import descriptor_name, to_learn
from mgi.translators.learning import settings_of
from mgi.weights import WeightsMissing, path
from mgi.weights.learnt import learnt_descriptor, learnt_folder
from storage.run_store import RunStore

PAINTINGS = sorted(EXAMPLES.glob("*/kaokore-*.jpg"))[:2]
SAMPLES = 16
SETTINGS = {"warp.descriptor": "mixed", "warp.descriptor_samples": SAMPLES}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setenv("MGI_WEIGHTS_DIR", str(path("vgg16-imagenet").parent))
    except WeightsMissing as error:
        pytest.skip(str(error))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_cache_path("mgi").is_relative_to(tmp_path)


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    save_file(tiny_mobile_state(), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def mgi(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_first_run_learns_it_and_the_second_does_not(tmp_path: Path, generator: Path) -> None:
    for side, painting in zip(("sources", "exemplars"), PAINTINGS, strict=True):
        (tmp_path / side).mkdir()
        shutil.copy(painting, tmp_path / side)
    changes = {
        "generator": generator,
        "inversion.hypotheses": '["L03N02"]',
        "inversion.steps": 2,
        "inversion.warm_start": 0,
        "inversion.tail": "per-layer",
        "selection.domain_samples": 16,
        "warp.image_size": 64,
        "inversion.perceptual_size": 64,
        **SETTINGS,
    }
    sets = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    asked = (tmp_path / "sources", tmp_path / "exemplars", "--profile", "quick", "--workers", 0, *sets)
    plan = mgi("translate", *asked, "--out", tmp_path / "a", "--dry-run")
    assert "learnt at the first use" in plan.output, plan.output
    first = mgi("translate", *asked, "--out", tmp_path / "a")
    assert first.exit_code == 0, first.output
    assert f"learning a descriptor of {generator} from {SAMPLES} of its samples, once" in first.output.replace("\n", "")
    (file,) = learnt_folder().glob("*.safetensors")
    said, made = file.read_bytes(), file.stat().st_mtime_ns
    weights = RunStore.open(tmp_path / "a").header["weights"]
    assert f"descriptor of {generator}" in weights
    second = mgi("translate", *asked, "--out", tmp_path / "b")
    assert second.exit_code == 0 and "learning a descriptor" not in second.output
    assert file.stat().st_mtime_ns == made
    file.write_bytes(said[:-1] + bytes([said[-1] ^ 1]))
    refused = mgi("resume", tmp_path / "a", "--retry")
    assert refused.exit_code == 2 and "descriptor of" in refused.output, refused.output


def test_when_one_has_to_be_learnt(generator: Path) -> None:
    own = load_config("embedded", {"generator": str(generator), **SETTINGS})
    assert to_learn(own) and descriptor_name(own) == str(learnt_descriptor(str(generator), SAMPLES))
    assert not to_learn(load_config("embedded", SETTINGS)), "one ships"
    assert not to_learn(load_config("embedded", {"generator": str(generator)})), "auto goes without"
    with pytest.raises(ConfigError, match="let it be learnt now"):
        descriptor_name(load_config("embedded", {"generator": str(generator), "warp.descriptor": "mixed"}))


def test_samples_are_used_in_the_proportions_of_a_whole_training() -> None:
    whole, small = settings_of(2000), settings_of(SAMPLES)
    assert (whole.calibration, whole.buffer, whole.held_out, whole.steps) == (64, 400, 48, 1600)
    assert (small.calibration, small.buffer, small.held_out, small.steps) == (2, 4, 2, 12)
