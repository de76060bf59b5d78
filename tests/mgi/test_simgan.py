"""SimGAN: the published sizes, whose turn it is, its losses by hand, and a history that is half of each batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from by_hand import Once, parameters
from small_systems import drawing_of, pictures, small

from mgi.systems.adversarial import History
from mgi.systems.registry import system_of
from mgi.systems.simgan import LocalDiscriminator, Refiner, SimGANConfig, whose
from mgi.systems.trainer import SystemTrainer, started


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert parameters(Refiner(64, 4, 3)) == 297_411
        critic = LocalDiscriminator(64)
        assert parameters(critic) == 77_634
        assert critic(torch.zeros(2, 3, 64, 64)).shape == (2, 1, 16, 16)


def test_whose_turn_it_is() -> None:
    config = SimGANConfig()
    assert [whose(config, number) for number in (0, 999, 1000, 1199)] == [
        *2 * ["refiner alone"],
        *2 * ["discriminator"],
    ]
    turns = [whose(config, 1200 + number) for number in range(6)]
    assert turns == 2 * ["refiner", "refiner", "discriminator"]


@pytest.mark.parametrize("compared", ["pixels", "mean-of-channels"])
def test_the_losses_are_those_of_the_paper(compared: Any) -> None:
    config = small("simgan", history=0, refiner_first=10, discriminator_first=10, compared=compared)
    system = started(system_of("simgan"), config)
    batch = drawing_of("simgan", config).batch(0)
    alone, critic, both = Once(0), Once(10), Once(20)
    for step in (alone, critic, both):
        system.learn(batch, step)
    with torch.no_grad():
        refined = system.refiner(batch.a)
        two = system.discriminator.layers(refined)
        real = system.discriminator.layers(batch.b)
        # Cross entropy of two channels, as the paper has it: 0 is real, 1 is refined; 8 x 8 patches.
        is_real, is_refined = (torch.full((2, 8, 8), kind) for kind in (0, 1))
        changed = refined - batch.a
        kept = changed if compared == "pixels" else changed.mean(1, keepdim=True)
        want = {
            "regularisation": 0.5 * kept.abs().sum() / 2,
            "adversarial": F.cross_entropy(two, is_real, reduction="sum") / 2,
            "discriminator": (
                F.cross_entropy(real, is_real, reduction="sum") + F.cross_entropy(two, is_refined, reduction="sum")
            )
            / 2,
        }
    want = {name: float(value) for name, value in want.items()}
    assert alone.moved == ["refiner"] and list(alone.seen) == ["regularisation"]
    assert critic.seen == pytest.approx({"discriminator": want.pop("discriminator")}, rel=1e-4)
    assert both.moved == ["refiner"] and both.seen == pytest.approx(want, rel=1e-4)


def test_half_of_a_batch_is_of_earlier_steps() -> None:
    history, random = History(6, (1,)), torch.Generator().manual_seed(0)
    batches = [torch.arange(4.0).view(4, 1) + 10 * number for number in range(40)]
    shown = [history.mix(fresh, random) for fresh in batches]
    assert torch.equal(shown[0], batches[0])  # there is nothing older yet
    for fresh, mixed in zip(batches[1:], shown[1:], strict=True):
        assert torch.equal(mixed[2:], fresh[2:]) and bool((mixed[:2] < fresh.min()).all())
        assert len(set(mixed.flatten().tolist())) == 4
    assert history.count == 6 and float(history.pictures.min()) > 10  # old ones have made room
    assert torch.equal(History(0, (1,)).mix(batches[0], random), batches[0])


def test_alone_it_learns_to_change_nothing() -> None:
    config = small("simgan", width=8, batch=4, refiner_first=100, blocks=1, learning_rate=3e-3)
    drawing, trainer = drawing_of("simgan", config), SystemTrainer(started(system_of("simgan"), config), 100)
    losses = [trainer.step(drawing.batch(number))["regularisation"] for number in range(60)]
    assert losses[-1] < 0.5 * losses[0]
    x = pictures(2)
    with torch.no_grad():
        assert float((trainer.system.refiner(x) - x).abs().mean()) < 0.35
