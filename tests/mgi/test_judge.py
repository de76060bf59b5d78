"""Scoring and selection as a run uses them, on a tiny generator and the real VGG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mgi.config import ConfigError, RunConfig
from mgi.features import load_backbone
from mgi.generators import load_file
from mgi.metrics.samples import folder_images, generated_images
from mgi.profiles import load_config
from mgi.scoring import domains as judging
from mgi.scoring.judge import Judge

GOLDEN = Path(__file__).parents[1] / "golden"

pytestmark = pytest.mark.slow  # real weights


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "user_cache_path", lambda name: tmp_path / "cache" / name)


def config(**selection: object) -> RunConfig:
    overrides = {
        f"selection.{key}": value for key, value in {"domain_samples": 16, "layer": "relu2_2", **selection}.items()
    }
    return load_config("quick", {"generator": "tiny", "warp.image_size": 64, **overrides})


def make(settings: RunConfig) -> Judge:
    backbone = load_backbone(settings.selection.backbone)
    return Judge(settings, load_file(GOLDEN / "pggan_mganprior.pth"), backbone, "cpu", settings.warp.image_size)


def test_a_sample_of_the_domain_is_nearer_than_noise() -> None:
    judge = make(config())
    sample = next(generated_images(load_file(GOLDEN / "pggan_mganprior.pth"), 1, 64, "cpu", seed=9))
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    near, far = judge.features(torch.cat([sample, noise]))
    assert near.shape == judge.feature_shape
    reference = {"warp": near, "exemplar": far}
    of_near, of_far = judge.distances(near, reference), judge.distances(far, reference)
    assert of_near["spatial-fd"] < of_far["spatial-fd"]
    assert of_near["sifid"] == pytest.approx(0, abs=1e-3)
    assert of_near["paper"] < of_far["paper"]


def test_statistics_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(config()).domain
    monkeypatch.setattr(judging, "build_statistics", lambda *a, **k: pytest.fail("measured again"))
    again = make(config()).domain
    assert np.array_equal(first.locations.covariance, again.locations.covariance)


def test_the_guard_and_the_rules_reach_the_choice() -> None:
    judge = make(config(rule="sifid", fidelity_bound=1.5))
    rows = [
        {"hypothesis": "L04N10", "spatial-fd": 1.0, "sifid": 3.0, "l2_after": 0.010},
        {"hypothesis": "L05N10", "spatial-fd": 2.0, "sifid": 1.0, "l2_after": 0.016},
        {"hypothesis": "L06N10", "spatial-fd": 3.0, "sifid": 2.0, "l2_after": 0.012},
    ]
    assert judge.select(rows) == {
        "hypothesis": "L06N10", "rule": "sifid", "value": 2.0, "guarded": ["L05N10"], "invalid": [], "halved": [],
    }  # fmt: skip
    judge = make(config(rule="set-fid", fidelity_bound=100.0))
    near, far = (judge.features(torch.full((1, 3, 64, 64), level))[0] for level in (0.0, 1.0))
    features = {"L04N10": near, "L05N10": far}
    choices = judge.select_set([rows[:2]] * 3, lambda _, hypothesis: features[hypothesis])
    assert len(choices) == 3
    assert len({choice["hypothesis"] for choice in choices}) == 1


def test_a_folder_can_be_the_domain(tmp_path: Path) -> None:
    folder = tmp_path / "domain"
    folder.mkdir()
    for index in range(3):
        Image.effect_noise((80, 70), 40 + index).convert("RGB").save(folder / f"{index}.png")
    assert make(config(domain=str(folder))).domain.images.n == 3
    (folder / "3.png").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match=r"3\.png cannot be read"):
        list(folder_images(sorted(folder.iterdir()), 64, "cpu"))
    with pytest.raises(ConfigError, match="must be 'generator' or a folder"):
        _ = make(config(domain=str(tmp_path / "nowhere"))).domain


def test_the_papers_rule_is_on_fids_own_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """|x - mu|^2 + tr(Sigma) in all 2048 dimensions: FID's formula of one vector, which has no covariance."""
    from standins import weights_folder

    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(weights_folder(tmp_path / "weights", "inception-fid")))
    judge = make(config(rule="paper", backbone="inception-fid", layer="pool3"))
    generator = load_file(GOLDEN / "pggan_mganprior.pth")
    images = torch.cat(list(generated_images(generator, 3, 64, "cpu", seed=5)))
    features = judge.features(images)
    assert features.shape == (3, *judge.feature_shape) == (3, 2048, 1, 1)
    assert features.dtype == judge.feature_dtype == "float32"

    backbone = load_backbone("inception-fid")
    samples = torch.cat(list(generated_images(generator, 16, 64, "cpu")))
    activations = backbone(samples, ["pool3"])["pool3"].flatten(1).double().numpy()
    mean, covariance = activations.mean(0), np.cov(activations, rowvar=False)
    of_images = backbone(images, ["pool3"])["pool3"].flatten(1).double().numpy()
    reference = {"warp": features[0], "exemplar": features[1]}
    for vector, stored in zip(of_images, features, strict=True):
        expected = np.square(vector - mean).sum() + np.trace(covariance)
        found = judge.distances(stored, reference)
        assert found["paper"] == pytest.approx(expected, rel=1e-5)
        assert np.isnan(found["spatial-fd"]) and np.isnan(found["sifid"])
