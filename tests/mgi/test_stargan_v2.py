"""StarGAN v2 equals the public code: sizes, pictures, styles, every loss; its schedule, and what its method refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released import GOLDEN, filled
from small_systems import drawing_of, pictures, small
from torch import Tensor, nn

from mgi.config import ConfigError
from mgi.generators.checkpoints import read_content
from mgi.profiles import load_config
from mgi.systems.base import Batch, Guide, System
from mgi.systems.drawing import Drawing, Side
from mgi.systems.files import TranslatorFacts, write_system
from mgi.systems.registry import system_of
from mgi.systems.stargan_networks import Discriminator, Generator, MappingNetwork, StyleEncoder
from mgi.systems.trainer import SystemTrainer, started
from mgi.translators.stargan_v2 import StarGANTranslator
from mgi.weights import WeightsMissing

SIZE = 64


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert parameters(Generator(256, 64)) == 33_892_995
        assert parameters(MappingNetwork(2, 512)) == 2_438_272
        assert parameters(StyleEncoder(256, 64, 2)) == 20_916_928
        assert parameters(Discriminator(256, 64, 2)) == 20_852_290
        assert parameters(Generator(64, 64)) == 32_634_883


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "stargan_v2.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def system() -> System:
    """Three domains at a sixteenth of the published widths, with the weights that the public code was given."""
    config = system_of("stargan-v2").config_type.model_validate(
        {"size": SIZE, "width": 4, "domains": ("cat", "dog", "wild"), "diversity_weight": 2.0}
    )
    found = started(system_of("stargan-v2"), config)
    found.load_state_dict(filled({key: list(tensor.shape) for key, tensor in found.state_dict().items()}))
    return found


def batch(size: int = SIZE, last: int = 2) -> Batch:
    """What the public code was given; `last`: the number of the last domain."""
    random = np.random.RandomState(0)
    a, b, b2 = (torch.from_numpy(random.uniform(-1, 1, (2, 3, size, size)).astype(np.float32)) for _ in range(3))
    return Batch(a, b, torch.tensor([0, last]), torch.tensor([1, last]), b2, b2)


class Recorded:
    """A step that moves nothing: what it was asked to move, and against which terms."""

    def __init__(self, number: int = 0) -> None:
        self.number, self.random = number, torch.Generator().manual_seed(0)
        self.asked: list[tuple[tuple[str, ...], list[str]]] = []
        self.terms: dict[str, float] = {}

    def update(self, player: str | Sequence[str], terms: Mapping[str, Tensor]) -> None:
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.asked.append(((player,) if isinstance(player, str) else tuple(player), list(terms)))
        self.terms |= {name: float(term.detach()) for name, term in terms.items()}


def test_pictures_and_styles_are_those_of_the_public_code(system: System, golden: dict[str, Tensor]) -> None:
    given = batch()
    for guide, shown, style in (
        (Guide(given.b, domain=given.b_domain), "reference", "encoded"),
        (Guide(domain=given.b_domain, latent=True), "latent", "mapped"),
    ):
        with torch.no_grad():
            found = system.translate(given.a, guide, torch.Generator().manual_seed(0))
            torch.testing.assert_close(found[..., ::4, ::4], golden[shown], rtol=1e-4, atol=1e-5)
            again = system.generator(given.a, golden[style])
        torch.testing.assert_close(again, found, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(system.discriminator(given.b, given.b_domain).detach(), golden["logits"])


def assert_losses(
    system: System, given: Batch, golden: dict[str, Tensor], rel: float, of_diversity: float | None = None
) -> None:
    """Every loss of a step is the public code's; `of_diversity`: another bound for that one."""
    step = Recorded()
    system.learn(given, step)
    for guide in ("latent", "reference"):
        real, fake, r1, adversarial, style, diversity, cycle = golden[f"{guide}_losses"].tolist()
        ours = [step.terms[f"{guide}_{name}"] for name in ("discriminator", "r1", "adversarial", "style", "cycle")]
        assert ours == pytest.approx([real + fake, r1, adversarial, style, cycle], rel=rel)
        assert step.terms[f"{guide}_diversity"] == pytest.approx(-2 * diversity, rel=of_diversity or rel)


def test_losses_are_those_of_the_public_code(system: System, golden: dict[str, Tensor]) -> None:
    assert_losses(system, batch(), golden, 1e-4)


def test_who_learns_when() -> None:
    step = Recorded()
    config = small("stargan-v2")
    system = started(system_of("stargan-v2"), config)
    system.learn(drawing_of("stargan-v2", config).batch(0), step)
    judged, told = ["discriminator", "r1"], ["adversarial", "style", "diversity", "cycle"]
    assert step.asked == [
        (("discriminator",), [f"latent_{name}" for name in judged]),
        (("discriminator",), [f"reference_{name}" for name in judged]),
        (("generator", "mapping", "style"), [f"latent_{name}" for name in told]),
        (("generator",), [f"reference_{name}" for name in told]),
    ]
    assert all(parameter.grad is not None for parameter in system.parameters())


def test_the_published_schedule() -> None:
    config = small("stargan-v2")
    players = SystemTrainer(started(system_of("stargan-v2"), config), 1)._optimizers
    groups = {name: optimizer.param_groups[0] for name, optimizer in players.items()}
    assert {name: group["lr"] for name, group in groups.items()} == {
        "generator": 1e-4,
        "mapping": 1e-6,
        "style": 1e-4,
        "discriminator": 1e-4,
    }
    assert {(group["betas"], group["weight_decay"]) for group in groups.values()} == {((0.0, 0.99), 1e-4)}
    assert (config.ema, system_of("stargan-v2").config_type().batch) == (0.999, 8)


@pytest.mark.parametrize(("number", "share"), [(0, 1.0), (50_000, 0.5), (100_000, 0.0), (120_000, 0.0)])
def test_diversity_fades(system: System, number: int, share: float) -> None:
    given = batch()
    with torch.no_grad():
        styles = [system.style_encoder(picture, given.b_domain) for picture in (given.b, given.b2)]
        first, then = (system._terms("x", given, styles, at)["x_diversity"] for at in (0, number))
    assert float(then) == pytest.approx(share * float(first)) and float(first) < 0


def test_sources_and_exemplars_come_from_every_domain_alike() -> None:
    config = small("stargan-v2", batch=64, windows=0.0, flip=False)
    pixels = np.zeros((20, 32, 32, 3), np.uint8)
    domains = np.array([0] * 18 + [1] * 2)  # one in ten
    side = Side(pixels, np.arange(20), domains)
    drawn = [Drawing("domains", side, side, config).batch(number) for number in range(10)]
    for name in ("a_domain", "b_domain"):
        assert 0.4 < float(torch.cat([getattr(each, name) for each in drawn]).float().mean()) < 0.6


def test_windows_keep_most_of_a_picture() -> None:
    config = small("stargan-v2", batch=64, windows=0.5, flip=False)
    slope = np.broadcast_to(np.arange(0, 256, 8, dtype=np.uint8)[None, None, :, None], (64, 32, 32, 3))
    side = Side(slope, np.arange(64), np.arange(64) % 2)
    found = Drawing("domains", side, side, config).batch(0).a[:, 0]
    spread = (found[..., -1] - found[..., 0])[:, 0] / (found.max() - found.min())
    whole = spread > 0.999
    assert 16 < int(whole.sum()) < 48
    assert float(spread.min()) > 0.8  # 0.8 of the area, a side of at least sqrt(0.8 / 1.1)


def test_it_refuses_what_it_cannot_be() -> None:
    kind = system_of("stargan-v2").config_type
    with pytest.raises(ValueError, match="expected a power of two from 32, found 96"):
        kind.model_validate({"size": 96})
    with pytest.raises(ValueError, match="expected a guide with a domain"):
        started(system_of("stargan-v2"), small("stargan-v2")).translate(pictures(1), Guide(), torch.Generator())


def checkpoint(system: System, file: Path, prefix: str = "") -> Path:
    """As the public code writes its `nets_ema`."""
    parts = {
        name: {prefix + key: tensor for key, tensor in getattr(system, name).state_dict().items()}
        for name in system.kept
    }
    torch.save(parts, file)
    return file


def translator(**options: Any) -> StarGANTranslator:
    given = {f"options.{name}": value for name, value in options.items()}
    return StarGANTranslator(load_config("quick", given, method="stargan-v2"), "cpu")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_released_checkpoints_translate(system: System, golden: dict[str, Tensor], tmp_path: Path, prefix: str) -> None:
    ours = translator(checkpoint=str(checkpoint(system, tmp_path / "100000_nets_ema.ckpt", prefix)), domain=1)
    assert (ours.picture_size, ours.system.config.width, ours.system.config.domains) == (SIZE, 4, ("0", "1", "2"))
    given = batch()
    guide = Guide(given.b, domain=given.b_domain)
    with torch.no_grad():
        found = ours.system.translate(given.a, guide, torch.Generator())
    torch.testing.assert_close(found[..., ::4, ::4], golden["reference"], rtol=1e-4, atol=1e-5)
    x, y = (np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for seed in range(2))
    image = ours.translate(x, y, seed=3).image
    assert image.shape[0] % SIZE == 0
    code = translator(checkpoint=str(tmp_path / "100000_nets_ema.ckpt"), domain=1, guide="latent")
    assert not np.array_equal(code.translate(x, y, seed=3).image, code.translate(x, y, seed=4).image)
    assert np.array_equal(code.translate(x, y, seed=3).image, code.translate(x, x, seed=3).image)


def test_what_cannot_be_used_is_said_in_one_line(system: System, tmp_path: Path) -> None:
    file = checkpoint(system, tmp_path / "nets_ema.ckpt")
    parts: Any = read_content(file)
    for name, content in {
        "other.ckpt": torch.load(GOLDEN / "swapping_autoencoder.pth", weights_only=True),
        "half.ckpt": {"generator": parts["generator"]},
        "less.ckpt": {**parts, "generator": dict(list(parts["generator"].items())[1:])},
        "faces.ckpt": {**parts, "generator": {**parts["generator"], "hpf.filter": torch.zeros(3, 3)}},
        "odd.ckpt": {**parts, "generator": {**parts["generator"], "more": torch.zeros(1)}},
    }.items():
        torch.save(content, tmp_path / name)
    model = tmp_path / "pix2pix.safetensors"
    config = small("pix2pix")
    facts = TranslatorFacts("pix2pix", config.model_dump(mode="json"), "", 1, 1, 0.5, "", "")
    write_system(model, started(system_of("pix2pix"), config), facts)
    with pytest.raises(WeightsMissing, match=r"stargan-v2: expected options.model, .*, or options.checkpoint, .* none"):
        translator()
    for options, said in (
        ({"checkpoint": file, "domain": 3}, "options.domain: expected one of 0, 1, 2, found 3"),
        ({"checkpoint": file}, "options.domain: expected one of 0, 1, 2, found none"),
        ({"checkpoint": file, "model": model}, "expected it or options.model, found both"),
        ({"checkpoint": tmp_path / "other.ckpt"}, "expected one of stargan-v2, found no generator"),
        ({"checkpoint": tmp_path / "half.ckpt"}, "found no mapping_network beside generator"),
        ({"checkpoint": tmp_path / "less.ckpt"}, r"generator.from_rgb.weight"),
        ({"checkpoint": tmp_path / "odd.ckpt"}, r"generator.more: expected no such tensor, found \[1\]"),
        ({"checkpoint": tmp_path / "faces.ckpt"}, "expected one of stargan-v2, found no fan beside generator"),
        ({"model": model}, "expected a model of stargan-v2, found one of pix2pix"),
    ):
        with pytest.raises(ConfigError, match=said):
            translator(**{name: str(value) if isinstance(value, Path) else value for name, value in options.items()})
