"""The methods of encoders that were trained here: a picture in one pass, refined, edited, and as a start of lanes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgi.config import ConfigError
from mgi.encoders.codes import Codes, measure_codes, render
from mgi.encoders.files import EncoderFacts, read_encoder, read_facts, write_encoder
from mgi.encoders.small import SIDE, SmallEncoder
from mgi.features import load_backbone
from mgi.generators import Generator
from mgi.images import resize, to_float, to_uint8
from mgi.learnt_files import LearntFileError
from mgi.pairs import Hypothesis
from mgi.profiles import load_config
from mgi.training.encoders.data import KnownSamples
from mgi.translators.base import Lane
from mgi.translators.inversion.engine import Engine
from mgi.translators.inversion.lanes import Targets
from mgi.translators.refining import refine
from mgi.translators.trained_encoder import TrainedEncoder
from mgi.weights import WeightsMissing, load_generator
from mgi.weights.identity import generator_sha256

NAME = "kaokore-64"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator(NAME)


@pytest.fixture(scope="module")
def codes(generator: Generator) -> Codes:
    return measure_codes(generator, 32, 2000)


def file_of(folder: Path, generator: Generator, codes: Codes, target: str = "") -> Path:
    body = load_backbone("efficientnet-lite0").state_dict()  # type: ignore[attr-defined]
    torch.manual_seed(0)
    network = SmallEncoder(body, codes.rows, codes.columns)
    facts = EncoderFacts(NAME, generator_sha256(NAME), "small", SIDE, target, {"samples-l2": 0.1})
    write_encoder(folder / "encoder.safetensors", network, codes, facts)
    return folder / "encoder.safetensors"


def method(file: Path | str, kind: str = "encoder", **settings: Any) -> TrainedEncoder:
    asked = {"options.encoder": str(file), "task": "invert", **settings}
    return TrainedEncoder(load_config("quick", asked, method=kind), "cpu")


def test_a_picture_in_one_pass(tmp_path: Path, generator: Any, codes: Codes) -> None:
    file = file_of(tmp_path, generator, codes)
    found, encoder = method(file), read_encoder(file)
    picture = to_uint8(generator(torch.randn(1, 512, generator=torch.Generator().manual_seed(5))).clamp(-1, 1))[0]
    result = found.reconstruct(picture)
    latents = found.styles_of(picture)
    assert result.image.shape == (64, 64, 3) and found.picture_size == 64
    assert np.array_equal(result.image, to_uint8(generator.synthesize(latents).clamp(-1, 1))[0])
    assert latents.shape == (1, generator.styles, 512) and encoder.facts.arch == "small"
    mixed = found.translate(picture, picture[::-1].copy())
    assert mixed.image.shape == result.image.shape and (mixed.image != result.image).any()
    refined = method(file, **{"options.refine": 6}).reconstruct(picture)
    start = method(file, **{"options.refine": 0}).reconstruct(picture)
    nearer, far = (np.square(one.image.astype(float) - picture).mean() for one in (refined, start))
    assert nearer < far and np.array_equal(start.image, result.image)


def test_refining_stays_near_what_the_encoder_said(
    tmp_path: Path, generator: Any, codes: Codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = method(file_of(tmp_path, generator, codes), **{"options.refine": 5})
    picture = to_uint8(generator(torch.randn(1, 512, generator=torch.Generator().manual_seed(5))).clamp(-1, 1))[0]
    said, settings = found.styles_of(picture), found.config.inversion

    def moved() -> tuple[float, float]:
        latents, loss = refine(generator, codes, said, picture, 0, settings, found._backbone, 5)
        return float((codes.of(latents) - codes.of(said)).square().mean()), loss

    near, with_it = moved()
    monkeypatch.setattr("mgi.translators.refining.STAY", 0.0)
    far, without = moved()
    assert 0 < near < 0.9 * far and with_it > without


def test_what_cannot_be_used_is_one_line(tmp_path: Path, generator: Generator, codes: Codes) -> None:
    file = file_of(tmp_path, generator, codes)
    with pytest.raises(ConfigError, match=r"belongs to kaokore-64 .* found generator mobile-stylegan-ffhq"):
        method(file, generator="mobile-stylegan-ffhq")
    with pytest.raises(ConfigError, match=r"expected an encoder that was adapted .* found a plain one"):
        method(file, "uda-inversion")
    assert method(file_of(tmp_path, generator, codes, "mask"), "uda-inversion").config.translator == "uda-inversion"
    with pytest.raises(WeightsMissing, match=r"found no .*nowhere"):
        method(tmp_path / "nowhere.safetensors")
    with pytest.raises(WeightsMissing, match=r"no encoder ships for kaokore;.*mgi train encoder --generator kaokore"):
        method("", generator="kaokore")
    for bad in (-1, "many", 1.5):
        with pytest.raises(ConfigError, match=r"options\.refine: expected a number of steps"):
            method(file, **{"options.refine": bad})
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="is not a readable encoder"):
        method(tmp_path / "other.safetensors")
    with pytest.raises(LearntFileError, match="its metadata lacks mgi-encoder"):
        read_facts(Path(__file__).parents[2] / "mgi" / "zoo" / "kaokore-64.safetensors")


def test_lanes_start_at_what_an_encoder_says(tmp_path: Path, generator: Any, codes: Codes) -> None:
    file = file_of(tmp_path, generator, codes)
    asked = {
        "inversion.start": "encoder",
        "inversion.encoder_file": str(file),
        "inversion.jitter": 0.0,
        "inversion.alpha_start": "one",
    }
    asked |= {"inversion.hypotheses": ["L04N03"], "inversion.rungs": [], "inversion.warm_start": 0}
    asked |= {"inversion.tail_start": "mean", "inversion.fused_spread": 0.0, "inversion.steps": 2}
    engine = Engine(load_config("quick", {**asked, "task": "invert", "generator": NAME}), "cpu")
    picture = np.full((engine.compare.picture,) * 2 + (3,), 90, np.uint8)
    lane = Lane("p", picture, Hypothesis(4, 3), seed=1)
    latents = Targets(engine, [lane]).start(lane)
    said = read_encoder(file)(resize(to_float(picture), SIDE))
    torch.testing.assert_close(engine.image(latents, 4), render(generator, said, engine.size), atol=0.02, rtol=0.02)
    with pytest.raises(ConfigError, match=r"inversion\.start = encoder needs a generator with styles"):
        Engine(load_config("quick", {**asked, "inversion.space": "z", "generator": NAME}), "cpu")


def test_results_are_edited_along_a_direction(tmp_path: Path, generator: Any, codes: Codes) -> None:
    file, picture = file_of(tmp_path, generator, codes), np.full((64, 64, 3), 90, np.uint8)
    vector = np.random.default_rng(0).normal(size=512).astype(np.float32) * 0.1
    np.save(tmp_path / "smile.npy", vector)
    direction = {"options.direction": str(tmp_path / "smile.npy")}
    moved = method(file, **direction, **{"options.amount": 3}).reconstruct(picture).image
    latents = method(file).styles_of(picture) + 3 * torch.from_numpy(vector)
    assert np.array_equal(moved, to_uint8(generator.synthesize(latents).clamp(-1, 1))[0])
    assert (moved != method(file, **direction).reconstruct(picture).image).any()
    np.save(tmp_path / "short.npy", vector[:64])
    cases = {
        r"options\.amount says how far along options\.direction, which is missing": {"options.amount": 3},
        r"options\.amount: expected a number, found 'far'": {**direction, "options.amount": "far"},
        "direction short has 64 dimensions": {"options.direction": str(tmp_path / "short.npy")},
    }
    for message, settings in cases.items():
        with pytest.raises(ConfigError, match=message):
            method(file, **settings)


def test_the_shipped_encoder_knows_faces() -> None:
    """Samples that it never saw come back nearer than any two faces are."""
    config = load_config("embedded", {"task": "invert"}, method="encoder")
    translator: Any = TrainedEncoder(config, "cpu")
    samples = KnownSamples(translator.generator, measure_codes(translator.generator, 192, 2000), 256, 0.0)
    pictures = samples([(1 << 41), (1 << 41) + 1])[0]
    found = [to_float(translator.reconstruct(picture).image) for picture in pictures]
    assert found[0].shape[-1] == 1024
    near, far = (
        np.mean([float((resize(found[i], 256) - to_float(pictures[j])).square().mean()) for i, j in pairs])
        for pairs in (((0, 0), (1, 1)), ((0, 1), (1, 0)))
    )
    assert near < 0.12 and near < 0.3 * far
