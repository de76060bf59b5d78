"""Consultation fusions that are trained here: strange pictures, steps, files, and the method that uses them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from mgi.config import ConfigError
from mgi.encoders.codes import measure_codes
from mgi.encoders.consultation import Consultation
from mgi.encoders.files import EncoderFacts, TrainedEncoder, read_encoder, write_encoder
from mgi.encoders.fusion import FusionFacts, fused, fusing_layer, read_fusion, read_fusion_facts, write_fusion
from mgi.encoders.small import SIDE, SmallEncoder
from mgi.features import load_backbone
from mgi.generators import Generator
from mgi.images import to_float
from mgi.learnt_files import LearntFileError
from mgi.profiles import load_config
from mgi.training import TrainingError
from mgi.training.encoders import Batch, EncoderConfig, FusionTrainer
from mgi.training.encoders.data import KnownSamples
from mgi.training.encoders.estranging import displaced, estranged
from mgi.translators.hfgi import HFGI
from mgi.weights import WeightsMissing, load_generator
from mgi.weights.identity import content_hashes, generator_sha256

NAME, CHANNELS = "kaokore-128", 512
FACTS = FusionFacts("g", "0" * 64, "encoder.safetensors", "1" * 64, 8, {"samples-l2": 0.5}, {"steps": 3})


def pictures(count: int = 3) -> Tensor:
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bicubic").clamp(-1, 1)


def test_strange_pictures_depend_on_their_seed_alone() -> None:
    plain = pictures()
    assert torch.equal(estranged(plain, 0.0, 1), plain)
    strange = estranged(plain, 1.0, 1)
    assert torch.equal(strange, estranged(plain, 1.0, 1)) and not torch.equal(strange, estranged(plain, 1.0, 2))
    assert ((strange - plain).abs().mean((1, 2, 3)) > 0.05).all() and strange.abs().max() <= 1
    some = (estranged(plain.repeat(20, 1, 1, 1), 0.5, 3) != plain.repeat(20, 1, 1, 1)).flatten(1).any(1).sum()
    assert 15 < int(some) < 45


def test_a_distortion_map_moves_at_its_corners_and_all_of_a_step_alike() -> None:
    lost = pictures(1).repeat(2, 1, 1, 1)
    assert torch.equal(displaced(lost, 0.15, 0.0, 0), lost)
    torch.testing.assert_close(displaced(lost, 0.0, 1.0, 0), lost, atol=1e-4, rtol=0)
    moved = displaced(torch.ones_like(lost), 0.5, 1.0, 0)
    assert torch.equal(moved[0], moved[1]) and moved[0, 0, 0].min() == 0  # nothing comes in from outside
    shares = [bool((displaced(lost, 0.5, 0.9, seed) != lost).any()) for seed in range(40)]
    assert 30 < sum(shares) < 40


def test_a_file_comes_back_and_others_are_one_line(tmp_path: Path) -> None:
    network = Consultation(4, 8)
    write_fusion(tmp_path / "fusion.safetensors", network, FACTS)
    assert (tmp_path / "fusion.safetensors").stat().st_mode & 0o077 == 0o044  # for colleagues, too
    found, facts = read_fusion(tmp_path / "fusion.safetensors")
    assert facts == FACTS == read_fusion_facts(tmp_path / "fusion.safetensors") and not found.training
    lost = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0)) - 0.5
    for ours, theirs in zip(found(lost, lost), network.eval()(lost, lost), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-2, rtol=2e-2)
    write_fusion(tmp_path / "wide.safetensors", Consultation(4, 16), FACTS)
    with pytest.raises(LearntFileError, match="expected the tensors of a fusion"):
        read_fusion(tmp_path / "wide.safetensors")
    (tmp_path / "none.safetensors").write_bytes(b"not at all")
    with pytest.raises(LearntFileError, match=r"is not a readable fusion .* --arch hfgi"):
        read_fusion(tmp_path / "none.safetensors")


def test_a_fusion_learns_from_whole_pictures() -> None:
    with pytest.raises(ValidationError, match="arch hfgi learns from whole pictures"):
        EncoderConfig(generator=NAME, arch="hfgi", damaged=0.5, degradation="mask")


# ---------------------------------------------------------------------- with real weights


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator(NAME)


@pytest.fixture(scope="module")
def file(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that knows nothing yet, and loses nearly everything."""
    codes = measure_codes(generator, 16, 1000)
    body = load_backbone("efficientnet-lite0").state_dict()  # type: ignore[attr-defined]
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    facts = EncoderFacts(NAME, generator_sha256(NAME), "small", SIDE, "", {})
    write_encoder(path, SmallEncoder(body, codes.rows, codes.columns), codes, facts)
    return path


def config(file: Path, **values: Any) -> EncoderConfig:
    given = {"generator": NAME, "generator_sha256": generator_sha256(NAME), "parent": str(file), "batch": 2}
    return EncoderConfig.model_validate({**given, "arch": "hfgi", "fusion_width": 8, **values})


@pytest.fixture(scope="module")
def batch(generator: Generator, file: Path) -> Batch:
    seen, coordinates = KnownSamples(generator, read_encoder(file).codes, 256, 0.0)(range(2))
    return Batch((to_float(seen), torch.from_numpy(coordinates)))


@pytest.mark.slow
def test_steps_put_back_what_was_lost(generator: Generator, file: Path, batch: Batch) -> None:
    settings = config(file, learning_rate=5e-3, ema_images=1, estranged=0, distorted=0, optimizer="adam")
    trainer = FusionTrainer(settings, generator, read_encoder(file))
    assert batch.known is not None
    plain = trainer._plain(batch.known[0])[1]
    losses = [trainer.step(batch).values for _ in range(8)]
    before = float(trainer.errors(plain, batch.known[0])["l2"].mean())
    assert {"loss", "pixel", "perceptual", "alignment"} == {*losses[0]}
    assert losses[-1]["pixel"] < 0.8 * losses[0]["pixel"] < 1.3 * 0.8 * before


@pytest.mark.slow
def test_a_continued_training_takes_the_same_steps(generator: Generator, file: Path, batch: Batch) -> None:
    base = read_encoder(file)
    one = FusionTrainer(config(file), generator, base)
    one.step(batch)
    other = FusionTrainer(config(file), generator, base)
    other.load_state(copy.deepcopy(one.state()))  # as a file holds it
    assert one.step(batch).values == other.step(batch).values
    for a, b in zip(one.average.state_dict().values(), other.average.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(TrainingError, match="not of this training"):
        FusionTrainer(config(file, seed=1), generator, base).load_state(one.state())


@pytest.mark.slow
def test_a_generator_without_features_of_64_rows_is_one_line(file: Path) -> None:
    small = load_generator("kaokore-64")
    assert fusing_layer(small) is None
    with pytest.raises(TrainingError, match=r"arch hfgi: kaokore-128 has .* no features of 64 rows"):
        FusionTrainer(config(file), small, read_encoder(file))


@pytest.mark.slow
def test_the_method_shows_what_the_trainer_shows(generator: Generator, file: Path, tmp_path: Path) -> None:
    trainer = FusionTrainer(config(file), generator, read_encoder(file))
    for head in (trainer.average.residue.condition_scale3, trainer.average.residue.condition_shift3):
        head[-1].bias.data.fill_(0.3)
    sha256 = content_hashes([file], file)[0]
    facts = FusionFacts(NAME, generator_sha256(NAME), file.name, sha256, 8, {})
    write_fusion(tmp_path / "fusion.safetensors", trainer.average, facts)

    def method(fusion: Path | None = tmp_path / "fusion.safetensors", **settings: Any) -> HFGI:
        named = {"options.fusion": str(fusion)} if fusion else {}
        asked = {"generator": NAME, "task": "invert", "options.encoder": str(file), **named, **settings}
        return HFGI(load_config("quick", asked, method="hfgi"), "cpu")

    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    found, encoder = method(), read_encoder(file)
    image = found.reconstruct(picture).image
    expected = trainer.reconstruct(to_float(picture))[0]
    reduced = torch.nn.functional.interpolate(to_float(image), size=(256, 256), mode="bilinear")[0]
    assert image.shape == (128, 128, 3) and (reduced - expected).abs().mean() < 0.02
    plain = by_hand(generator, encoder, picture)
    assert (to_float(image) - plain).abs().mean() > 0.05  # the biases did something
    np.save(tmp_path / "age.npy", np.random.default_rng(0).normal(size=512).astype(np.float32))
    edited = method(**{"options.direction": str(tmp_path / "age.npy"), "options.amount": 2.0}).reconstruct(picture)
    assert (edited.image != image).any()

    with pytest.raises(WeightsMissing, match=r"expected options.fusion, a fusion of `mgi train encoder"):
        method(None)
    other = FusionFacts(NAME, generator_sha256(NAME), "another.safetensors", "2" * 64, 8, {})
    write_fusion(tmp_path / "other.safetensors", trainer.average, other)
    with pytest.raises(ConfigError, match=r"belongs to another.safetensors .* found encoder.safetensors"):
        method(tmp_path / "other.safetensors")
    with pytest.raises(WeightsMissing, match="expected a file, found no"):
        method(tmp_path / "none.safetensors")


def by_hand(generator: Any, encoder: TrainedEncoder, picture: np.ndarray) -> Tensor:
    latents = encoder(torch.nn.functional.avg_pool2d(to_float(picture), 2))
    nothing = torch.zeros(1, CHANNELS, 64, 64)
    image = fused(generator, latents, 8, nothing, nothing, generator.resolution)
    torch.testing.assert_close(image, generator.synthesize(latents), atol=1e-4, rtol=1e-4)
    return image.clamp(-1, 1)
