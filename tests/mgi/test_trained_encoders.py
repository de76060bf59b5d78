"""Encoders that are trained here: coordinates, the small network, a step of training, and the methods that use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgi.encoders.codes import Codes, measure_codes, render
from mgi.encoders.files import EncoderFacts, read_encoder, read_facts, write_encoder
from mgi.encoders.small import SIDE, SmallEncoder
from mgi.features import load_backbone
from mgi.features.ir_se50 import IRSE50
from mgi.generators import Generator
from mgi.images import to_float, to_uint8
from mgi.training import TrainingError
from mgi.training.encoders import Batch, EncoderConfig, EncoderTrainer, networks
from mgi.training.encoders.data import KnownSamples, batch_rows, degraded
from mgi.weights import load_generator
from mgi.weights.identity import generator_sha256

NAME = "kaokore-64"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator(NAME)


@pytest.fixture(scope="module")
def codes(generator: Generator) -> Codes:
    return measure_codes(generator, 32, 2000)


@pytest.fixture(scope="module")
def known(generator: Generator, codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    samples = KnownSamples(generator, codes, SIDE, 0.5)
    return samples(range(8))


def config(**values: Any) -> EncoderConfig:
    asked = {"generator": NAME, "generator_sha256": generator_sha256(NAME), "components": 32, "samples": 8, "batch": 4}
    return EncoderConfig.model_validate({**asked, "pictures": 2, **values})


def batch(known: tuple[np.ndarray, np.ndarray], step: int, target: bool = False) -> Batch:
    rows = batch_rows(8, 4, 0, "known", step)
    pictures = to_float(known[0][rows])
    return Batch((pictures, torch.from_numpy(known[1][rows])), target=pictures.flip(0) * 0.5 if target else None)


def test_coordinates_are_those_of_latents(generator: Any) -> None:
    whole = measure_codes(generator, 512, 2000)
    w = generator.to_w(torch.randn(5, 512, generator=torch.Generator().manual_seed(3)))
    torch.testing.assert_close(whole.latents(whole.of(w)), w, atol=1e-4, rtol=1e-3)
    plain = measure_codes(generator, 0, 2000)
    torch.testing.assert_close(plain.latents(plain.of(w)), w, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(plain.latents(torch.zeros(512)), plain.mean)
    some = measure_codes(generator, 64, 2000)
    assert 0.7 < float(some.of(w).square().mean()) < 1.3
    again = Codes.of_state(some.state())
    assert torch.equal(again.of(w), some.of(w)) and (again.rows, again.columns) == (generator.styles, 64)


def test_images_of_latents_are_the_generators(generator: Any) -> None:
    w = generator.to_w(torch.randn(2, 512, generator=torch.Generator().manual_seed(3)))[:, None]
    w = w.expand(-1, generator.styles, -1)
    torch.testing.assert_close(render(generator, w, 64), generator.synthesize(w))
    reduced = torch.nn.functional.avg_pool2d(generator.synthesize(w), 2)
    torch.testing.assert_close(render(generator, w, 32), reduced, atol=1e-4, rtol=1e-4)


def test_a_generator_without_styles_has_codes_of_its_own() -> None:
    pggan: Any = load_generator("kaokore")
    codes = measure_codes(pggan, 16)
    z = torch.randn(2, pggan.z_dim, generator=torch.Generator().manual_seed(1))
    assert codes.rows == 1 and torch.equal(codes.latents(codes.of(z)), z)
    torch.testing.assert_close(render(pggan, z[:, None], pggan.resolution), pggan(z))
    pictures, coordinates = KnownSamples(pggan, codes, SIDE, 0.5)([4])
    assert pictures.shape == (1, SIDE, SIDE, 3) and coordinates.shape == (1, 1, pggan.z_dim)


def test_the_small_network_fits_its_limits(tmp_path: Path, generator: Any) -> None:
    """Ten million weights and 12 MiB, for the largest generator that ships."""
    body = load_backbone("efficientnet-lite0").state_dict()  # type: ignore[attr-defined]
    network = SmallEncoder(body, 23, EncoderConfig(generator=NAME).components)
    assert sum(p.numel() for p in network.parameters()) < 10_000_000
    codes = Codes(torch.zeros(512), torch.eye(512)[:, :192], 1.0, 23, 0.2)
    facts = EncoderFacts(NAME, "0" * 64, "small", SIDE, "", {})
    write_encoder(tmp_path / "e.safetensors", network, codes, facts)
    assert (tmp_path / "e.safetensors").stat().st_size < 12 * 2**20
    found = read_encoder(tmp_path / "e.safetensors")
    pictures = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = codes.latents(network(pictures)).detach()
    torch.testing.assert_close(found(pictures), expected, atol=2e-2, rtol=2e-2)
    assert found.facts == facts == read_facts(tmp_path / "e.safetensors")


def test_samples_depend_on_their_seed_alone(generator: Generator, codes: Codes) -> None:
    samples = KnownSamples(generator, codes, SIDE, 0.0)
    picture, coordinates = (part[0] for part in samples([7]))
    assert np.array_equal(picture, samples([7])[0][0]) and not np.array_equal(picture, samples([8])[0][0])
    together = samples([7, 8])[0][0].astype(int)
    assert np.abs(together - picture).max() <= 1  # rounding
    assert np.abs(coordinates - coordinates[:1]).max() < 1e-4  # one face's styles
    assert np.abs(np.diff(KnownSamples(generator, codes, SIDE, 1.0)([7])[1][0], axis=0)).max() > 0.1
    # What 32 of 512 directions hold is nearly the picture.
    image = render(generator, codes.latents(torch.from_numpy(coordinates)[None]), 64)
    near = np.abs(to_uint8(image)[0].astype(int) - np.asarray(picture[::2, ::2]).astype(int)).mean()
    assert near < 40


def test_batches_are_epochs_in_an_order_of_their_own() -> None:
    first = [row for step in range(2) for row in batch_rows(9, 4, 0, "known", step)]
    second = [row for step in range(2, 4) for row in batch_rows(9, 4, 0, "known", step)]
    assert len(set(first)) == len(set(second)) == 8 and first != second
    assert batch_rows(9, 4, 0, "real", 0) != batch_rows(9, 4, 0, "known", 0)
    with pytest.raises(TrainingError, match="3 pictures do not fill a batch of 4"):
        batch_rows(3, 4, 0, "known", 0)
    with pytest.raises(TrainingError, match="a batch needs at least 2 pictures, found 1; add more"):
        batch_rows(1, 4, 0, "known", 0)
    assert batch_rows(1, 1, 0, "known", 0) == [0]


def test_pictures_of_the_target_domain_are_seeded(known: tuple[np.ndarray, np.ndarray]) -> None:
    spec = "rain-layers+mask+down2"
    found = degraded(known[0], spec, range(8))
    assert found.shape == known[0].shape and found.dtype == np.uint8
    assert np.array_equal(found[3:4], degraded(known[0][3:4], spec, [3]))
    assert np.abs(found.astype(int) - known[0].astype(int)).mean() > 10


@pytest.mark.parametrize("further", [{}, {"adversary_weight": 0.1, "progressive": 1, "optimizer": "adam"}])
def test_a_step_depends_on_nothing_else(
    generator: Generator, codes: Codes, known: tuple[np.ndarray, np.ndarray], further: dict[str, Any]
) -> None:
    asked = config(target="simulated", degradation="mask", **further)
    whole, first = EncoderTrainer(asked, generator, codes), EncoderTrainer(asked, generator, codes)
    losses = [whole.step(batch(known, step, True)) for step in range(3)]
    assert all(one.finite for one in losses) and {"latent", "pixel", "perceptual", "discrepancy"} <= set(
        losses[0].values
    )
    first.step(batch(known, 0, True))
    later = EncoderTrainer(asked, generator, codes)
    later.load_state(first.state())
    again = [later.step(batch(known, step, True)) for step in (1, 2)]
    assert [one.values for one in again] == [one.values for one in losses[1:]]
    for name, value in later.average.state_dict().items():
        assert torch.equal(value, whole.average.state_dict()[name])
    with pytest.raises(TrainingError, match="not of this training"):
        EncoderTrainer(config(seed=1), generator, codes).load_state(first.state())


def test_what_is_learnt_is_learnt(generator: Generator, codes: Codes, known: tuple[np.ndarray, np.ndarray]) -> None:
    trainer = EncoderTrainer(config(learning_rate=3e-3, optimizer="adam", ema_images=8), generator, codes)
    pictures = to_float(known[0])
    before = trainer.errors(trainer.reconstruct(pictures), pictures)["l2"].mean()
    losses = [trainer.step(batch(known, step)).values["latent"] for step in range(40)]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    assert trainer.errors(trainer.reconstruct(pictures), pictures)["l2"].mean() < 0.8 * before


def test_damaged_samples_are_compared_with_whole_ones(
    generator: Generator, codes: Codes, known: tuple[np.ndarray, np.ndarray]
) -> None:
    pictures, coordinates = to_float(known[0][:4]), torch.from_numpy(known[1][:4])
    seen = torch.full_like(pictures, -1.0)
    asked = config(learning_rate=1e-9, perceptual_weight=0.0, pictures=4)
    trainer = EncoderTrainer(asked, generator, codes)
    shown = trainer.reconstruct(seen)  # the running average is the encoder still
    whole = trainer.step(Batch((seen, coordinates), whole=pictures)).values["pixel"]
    assert abs(whole - float((shown - pictures).square().mean())) < 0.02
    blind = EncoderTrainer(asked, generator, codes).step(Batch((seen, coordinates))).values["pixel"]
    assert abs(whole - blind) > 0.02


def test_the_auxiliary_network_ascends(
    generator: Generator, codes: Codes, known: tuple[np.ndarray, np.ndarray]
) -> None:
    """With the encoder held still, the estimate of the discrepancy grows."""
    asked = config(target="simulated", degradation="mask", learning_rate=1e-12, pictures=4)
    trainer = EncoderTrainer(asked, generator, codes)
    fixed = batch(known, 0, True)
    found = [trainer.step(fixed).values["discrepancy"] for _ in range(10)]
    assert found[0] < found[4] < found[9]


def test_rows_may_differ_one_after_the_other(
    generator: Generator, codes: Codes, known: tuple[np.ndarray, np.ndarray]
) -> None:
    trainer = EncoderTrainer(config(progressive=2), generator, codes)
    with torch.no_grad():
        for head in trainer.encoder.heads:  # type: ignore[union-attr]
            head.weight.normal_(std=0.1)  # type: ignore[union-attr]
    pictures = to_float(known[0][:2])
    assert (trainer.coordinates(pictures).diff(dim=1) == 0).all()
    trainer.steps_done = 4
    found = trainer.coordinates(pictures).detach()
    assert (found[:, 1:3].diff(dim=1) != 0).any() and (found[:, 3:] == found[:, :1]).all()


def test_published_encoders_need_styles_of_their_size(generator: Generator) -> None:
    pggan: Any = load_generator("kaokore")
    with pytest.raises(TrainingError, match="arch psp says styles of 512 dimensions"):
        EncoderTrainer(config(arch="psp"), pggan, measure_codes(pggan, 0))


def test_published_bodies_start_from_the_face_network(monkeypatch: pytest.MonkeyPatch, generator: Generator) -> None:
    faces = IRSE50()
    monkeypatch.setattr(networks, "load_backbone", lambda name: faces if name == "ir-se50" else None)
    codes = Codes(torch.zeros(512), torch.eye(512), 1.0, 11)
    for arch in ("e4e", "e2style"):
        encoder = networks.new_encoder(config(arch=arch, body="ir-se50"), codes)
        own = encoder.state_dict()
        assert torch.equal(own["body.5.res_layer.1.weight"], faces.state_dict()["body.5.res_layer.1.weight"])
        assert torch.equal(own["input_layer.0.weight"], faces.state_dict()["input_layer.0.weight"])
    plain = networks.new_encoder(config(arch="e2style"), codes).state_dict()
    assert not torch.equal(plain["input_layer.0.weight"], faces.state_dict()["input_layer.0.weight"])
