"""MUNIT: the published sizes, its losses by hand, styles of exemplars and of chance, and what is not in its file."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Once, parameters
from pydantic import ValidationError
from small_systems import drawing_of, pictures, small

from mgi.systems.base import Guide
from mgi.systems.munit import MUNIT, AdaptiveBlock, MUNITConfig
from mgi.systems.registry import system_of
from mgi.systems.trainer import started


def test_published_sizes() -> None:
    with torch.device("meta"):
        system = MUNIT(MUNITConfig(size=256))
    assert parameters(system.makers["a"]) == 15_026_187
    assert parameters(system.judges["a"]) == 8_271_171


def test_a_block_takes_its_statistics_from_outside() -> None:
    draws = torch.Generator().manual_seed(0)
    block, x = AdaptiveBlock(2), torch.randn(3, 2, 8, 8, generator=draws)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, generator=draws)
    statistics = torch.randn(3, 8, 1, 1, generator=draws)
    with torch.no_grad():
        inner = block(x, statistics) - x
    assert torch.allclose(inner.mean((2, 3)), statistics[:, 4:6, 0, 0], atol=1e-5)
    assert torch.allclose(inner.std((2, 3), correction=0), statistics[:, 6:8, 0, 0].abs(), rtol=1e-3)


def test_the_losses_are_those_of_the_paper() -> None:
    config = small("munit", flip=False, cycle_weight=10.0)
    system = started(system_of("munit"), config)
    batch, step = drawing_of("munit", config).batch(0), Once()
    system.learn(batch, step)
    assert step.moved == ["discriminators", "generators"]
    of_a, of_b, judge_b = system.makers["a"], system.makers["b"], system.judges["b"]
    draws = torch.Generator().manual_seed(0)
    _, first_b, _, style_b = (torch.randn(2, 8, generator=draws) for _ in range(4))
    with torch.no_grad():
        content, own = of_a.content(batch.a), of_a.style(batch.a)
        fake = of_b.decode(content, style_b)
        judged = [
            (real, made) for real, made in zip(judge_b(batch.b), judge_b(of_b.decode(content, first_b)), strict=True)
        ]
        want = {
            "reconstruction_a": 10 * (of_a.decode(content, own) - batch.a).abs().mean(),
            "style_b": (of_b.style(fake) - style_b).abs().mean(),
            "content_a": (of_b.content(fake) - content).abs().mean(),
            "cycle_a": 10 * (of_a.decode(of_b.content(fake), own) - batch.a).abs().mean(),
            "adversarial_b": sum((logits - 1).square().mean() for logits in judge_b(fake)),
            "discriminator_b": sum((real - 1).square().mean() + made.square().mean() for real, made in judged),
        }
    assert {name: step.seen[name] for name in want} == pytest.approx({n: float(v) for n, v in want.items()}, rel=1e-4)


def test_style_is_of_the_exemplar_or_of_chance() -> None:
    system = started(system_of("munit"), small("munit"))
    x, exemplar, other = pictures(1), pictures(1, seed=1), pictures(1, seed=2)

    def made(guide: Guide, seed: int = 0) -> torch.Tensor:
        with torch.no_grad():
            return system.translate(x, guide, torch.Generator().manual_seed(seed))

    assert torch.equal(made(Guide(exemplar)), made(Guide(exemplar), seed=1))
    assert not torch.equal(made(Guide(exemplar)), made(Guide(other)))
    assert torch.equal(made(Guide(exemplar, latent=True)), made(Guide()))
    assert not torch.equal(made(Guide(latent=True)), made(Guide(latent=True), seed=1))
    back = made(Guide(exemplar, other, backwards=True))
    with torch.no_grad():  # the exemplar as a picture of A
        want = system.makers["a"].decode(system.makers["b"].content(x), system.makers["a"].style(other))
    assert torch.equal(back, want)


def test_the_rate_is_halved_every_so_many_steps() -> None:
    system = started(system_of("munit"), small("munit", halve_every=10))
    assert [system.rate(done, 100) for done in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]


def test_small_pictures_have_room_for_fewer_scales() -> None:
    with pytest.raises(ValidationError, match="expected at most 2 for 32 pixels, found 3"):
        MUNITConfig(size=32)


def test_features_that_should_not_change_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Backbone:
        unit = 2.0

        def __call__(self, images: torch.Tensor, layers: list[str]) -> dict[str, torch.Tensor]:
            return {layers[0]: F.avg_pool2d(images, 4)}

    monkeypatch.setattr("mgi.systems.perception.load_backbone", lambda name, device: Backbone())
    config = small("munit", perceptual_weight=2.0)
    system = started(system_of("munit"), config)
    before = set(system.state_dict())
    batch, step = drawing_of("munit", config).batch(0), Once()
    system.learn(batch, step)
    assert step.seen["perceptual_a"] > 0 and step.seen["perceptual_b"] > 0
    assert set(system.state_dict()) == before
    distance = system._features[0].normalised
    assert float(distance(0.5 * batch.a - 0.2, batch.a)) < 1e-3 < float(distance(batch.b, batch.a.flip(3)))
