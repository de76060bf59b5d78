"""Training of the Swapping Autoencoder equals the public code: sizes, patches, every loss; its schedule, its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released import GOLDEN, filled
from small_systems import drawing_of, small
from torch import Tensor, nn

from mgi.config import ConfigError
from mgi.profiles import load_config
from mgi.systems.base import Batch, Guide, System
from mgi.systems.files import TranslatorFacts, write_system
from mgi.systems.registry import system_of
from mgi.systems.swapping_discriminators import ImageDiscriminator, PatchDiscriminator, random_patches
from mgi.systems.swapping_networks import Encoder, Generator, Shape
from mgi.systems.trainer import SystemTrainer, started
from mgi.translators.swapping_autoencoder import Swapping

NAME, SIZE = "swapping-autoencoder", 64


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_sizes() -> None:
    codes, features = (1024, 2048), (512, 512, 256, 128)
    assert Shape.published(32, 4) == Shape((32, 64, 128, 256, 512), codes, 8, 2048, (256, 512), features)
    with torch.device("meta"):
        shape = Shape.published(32, 4)
        assert (parameters(Encoder(shape)), parameters(Generator(shape))) == (30_584_872, 25_064_743)
        assert parameters(ImageDiscriminator(256, 32)) == 28_859_521
        assert parameters(ImageDiscriminator(512, 32)) == 28_978_241
        assert parameters(PatchDiscriminator(128, 32)) == 24_522_145


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "swapping_training.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def system() -> Any:
    """An eighth of the published widths, with the weights that the public code was given."""
    config = system_of(NAME).config_type.model_validate({"size": SIZE, "width": 4, "batch": 4})
    found = started(system_of(NAME), config)
    own = found.state_dict()
    for key, tensor in filled({key: list(tensor.shape) for key, tensor in own.items()}).items():
        if not key.endswith("kernel"):
            own[key] = tensor * (tensor[0].numel() / 2) ** 0.5 if tensor.ndim > 1 else tensor
    found.load_state_dict(own)
    return found


def real() -> Tensor:
    values = np.random.RandomState(0).uniform(-1, 1, (4, 3, SIZE, SIZE))
    return torch.from_numpy(values.astype(np.float32))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Recorded:
    """A step that moves nothing: who was asked to move, and against which terms."""

    def __init__(self, seed: int, number: int = 0) -> None:
        self.number, self.random = number, seeded(seed)
        self.asked: list[str] = []
        self.terms: dict[str, float] = {}

    def update(self, player: str | Sequence[str], terms: Mapping[str, Tensor]) -> None:
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.asked.append(str(player))
        self.terms |= {name: float(term.detach()) for name, term in terms.items()}


def test_patches_and_logits_are_those_of_the_public_code(system: Any, golden: dict[str, Tensor]) -> None:
    found = random_patches(real(), 8, 32, seeded(4))
    torch.testing.assert_close(found[:2, :2, :, ::4, ::4], golden["patches"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(system.D(real()).detach(), golden["logits"], rtol=1e-4, atol=1e-5)


def test_a_swap_is_that_of_the_public_code(system: Any, golden: dict[str, Tensor]) -> None:
    """Structures of neighbours with textures of one's own, as `translate` gives them."""
    pairs = real().unflatten(0, (2, 2)).flip(1).flatten(0, 1)
    with torch.no_grad():
        found = system.translate(pairs, Guide(real()), seeded(5))
    torch.testing.assert_close(found[:2, :, ::4, ::4], golden["mixed"], rtol=1e-4, atol=1e-4)


def test_losses_are_those_of_the_public_code(system: Any, golden: dict[str, Tensor]) -> None:
    step = Recorded(seed=1)
    system._judge(real(), step)
    assert list(step.terms.values()) == pytest.approx(golden["judged"].tolist(), rel=1e-4)
    assert float(system._r1(real(), seeded(2)).detach()) == pytest.approx(float(golden["r1"]), rel=1e-3)
    told = system._told(real(), seeded(3))
    assert list(told) == ["l1", "adversarial", "patches"]
    assert [float(term.detach()) for term in told.values()] == pytest.approx(golden["told"].tolist(), rel=1e-4)


def test_discriminators_and_generator_learn_from_different_pictures_and_r1_is_rare() -> None:
    config = small(NAME)
    system: Any = started(system_of(NAME), config)
    drawing = drawing_of(NAME, config)
    seen: list[Tensor] = []
    encode = system.E.forward
    system.E.forward = lambda images: seen.append(images) or encode(images)
    asked = [Recorded(seed=0, number=number) for number in (0, 15)]
    for step in asked:
        system.learn(drawing.batch(0), step)
    assert [step.asked for step in asked] == [
        ["discriminator", "generator"],
        ["discriminator", "discriminator", "generator"],
    ]
    assert torch.equal(seen[0], drawing.batch(0).b) and torch.equal(seen[1], drawing.batch(0).b2)
    assert not torch.equal(seen[0], seen[1])
    again = Recorded(seed=0, number=15)
    system.learn(drawing.batch(0), again)
    assert again.terms["r1"] > 0 and "r1" not in asked[0].terms


def test_the_published_schedule() -> None:
    config = system_of(NAME).config_type()
    assert (config.batch, config.width, config.ema, config.flip, config.jitter) == (16, 32, 0.0, True, False)
    optimizers = SystemTrainer(started(system_of(NAME), small(NAME)), 1)._optimizers
    told, judges = (optimizers[name].param_groups[0] for name in ("generator", "discriminator"))
    assert (told["lr"], told["betas"]) == (0.002, (0.0, 0.99))
    share = 16 / 17
    assert judges["lr"] == pytest.approx(0.002 * share)
    assert judges["betas"] == pytest.approx((0.0, 0.99**share))


@pytest.mark.parametrize(("size", "halvings", "patch"), [(32, 2, 16), (64, 3, 32), (128, 4, 64), (512, 4, 128)])
def test_small_pictures_have_fewer_halvings_and_smaller_patches(size: int, halvings: int, patch: int) -> None:
    config: Any = system_of(NAME).config_type.model_validate({"size": size})
    assert (len(config.shape.up), config.patch_rows) == (halvings, patch)


def test_patches_are_between_an_eighth_and_a_quarter() -> None:
    line = torch.linspace(-1, 1, 256)
    down, right = torch.meshgrid(line, line, indexing="ij")
    found = random_patches(torch.stack([right, down, right])[None], 200, 16, seeded(0))[0]
    # Not to the edge: a patch there mixes in the black around the picture, as in the public code.
    across, along = ((15 / 13) * (x[:, -2] - x[:, 1]) for x in (found[:, 0, 7, :], found[:, 1, :, 7]))
    for extent in (across.abs() / 2, along / 2):
        assert 0.12 < float(extent.min()) < 0.14 and 0.23 < float(extent.max()) < 0.26
    assert 60 < int((across < 0).sum()) < 140 and float(along.min()) > 0  # mirrored, never upside down


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch": 3}, "batch: expected an even number, found 3"),
        ({"size": 96}, "expected a power of two from 8, found 96"),
        ({"size": 64, "halvings": 4}, "halvings: expected at most 3, found 4"),
        ({"patch_size": 4}, "expected a power of two from 8, found 4"),
    ],
)
def test_it_refuses_what_it_cannot_be(settings: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        system_of(NAME).config_type.model_validate(settings)


def test_a_trained_model_is_the_method(system: System, tmp_path: Path) -> None:
    file = tmp_path / "translator.safetensors"
    write_system(file, system, TranslatorFacts(NAME, system.config.model_dump(mode="json"), "", 1, 1, 0.5, "", ""))
    config = load_config("quick", {"options.model": str(file)}, method=NAME)
    ours = Swapping(config, "cpu")
    assert ours.picture_size == SIZE
    x, y = (np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for seed in range(2))
    image = ours.translate(x, y, seed=3).image
    assert image.shape == (SIZE, SIZE, 3) and not np.array_equal(image, ours.translate(x, x, seed=3).image)
    both = {"options.model": str(file), "options.checkpoint": str(GOLDEN / "swapping_autoencoder.pth")}
    with pytest.raises(ConfigError, match=r"expected it or .*, found both"):
        Swapping(load_config("quick", both, method=NAME), "cpu")


def test_it_learns_to_reconstruct() -> None:
    config = small(NAME, batch=2, learning_rate=5e-3)
    trainer = SystemTrainer(started(system_of(NAME), config), 1000)
    x = torch.tensor([0.8, -0.6, 0.3])[None, :, None, None].expand(2, 3, 32, 32)
    losses = [trainer.step(Batch(x, x, *[torch.zeros(2).long()] * 2, x, x))["l1"] for _ in range(12)]
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
