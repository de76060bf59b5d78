"""CycleGAN: the published sizes, its losses by hand, both ways, and the tutorial's objectives."""

from __future__ import annotations

import pytest
import torch
from by_hand import Once, parameters
from pydantic import ValidationError
from small_systems import drawing_of, pictures, small

from mgi.systems.base import Guide
from mgi.systems.contest import judged
from mgi.systems.cyclegan import CycleGAN, CycleGANConfig
from mgi.systems.patches import PatchDiscriminator
from mgi.systems.registry import system_of
from mgi.systems.resnets import ResNetGenerator
from mgi.systems.trainer import SystemTrainer, started


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert parameters(ResNetGenerator(3, 3, 64, 9)) == 11_378_179
        assert parameters(ResNetGenerator(3, 3, 64, 6)) == 7_837_699
        assert parameters(PatchDiscriminator(3, 64, norm="instance")) == 2_764_737
        large, less = (CycleGAN(CycleGANConfig(size=size), training=False) for size in (256, 128))
    assert (parameters(large), parameters(less)) == (2 * 11_378_179, 2 * 7_837_699)


def test_the_losses_are_those_of_the_paper() -> None:
    config = small("cyclegan", jitter=False, flip=False, history=0)
    system = started(system_of("cyclegan"), config)
    batch = drawing_of("cyclegan", config).batch(0)
    to_a, to_b, judge_a, judge_b = system.makers["a"], system.makers["b"], system.judges["a"], system.judges["b"]
    step = Once()
    system.learn(batch, step)
    with torch.no_grad():
        fake_a, fake_b = to_a(batch.b), to_b(batch.a)
        want = {
            "adversarial_a": (judge_a(fake_a) - 1).square().mean(),
            "adversarial_b": (judge_b(fake_b) - 1).square().mean(),
            "cycle_a": 10 * (to_a(fake_b) - batch.a).abs().mean(),
            "cycle_b": 10 * (to_b(fake_a) - batch.b).abs().mean(),
            "identity_a": 5 * (to_a(batch.a) - batch.a).abs().mean(),
            "identity_b": 5 * (to_b(batch.b) - batch.b).abs().mean(),
            "discriminator_a": 0.5 * ((judge_a(batch.a) - 1).square().mean() + judge_a(fake_a).square().mean()),
            "discriminator_b": 0.5 * ((judge_b(batch.b) - 1).square().mean() + judge_b(fake_b).square().mean()),
        }
    assert step.seen == pytest.approx({name: float(value) for name, value in want.items()}, rel=1e-4)
    assert list(step.seen)[-2:] == ["discriminator_a", "discriminator_b"]  # generators move first
    without = started(system_of("cyclegan"), small("cyclegan", identity_weight=0))
    step = Once()
    without.learn(batch, step)
    assert "identity_a" not in step.seen


def test_it_goes_both_ways() -> None:
    system = started(system_of("cyclegan"), small("cyclegan"))
    x, random = pictures(1), torch.Generator()
    with torch.no_grad():
        forward, backward = (system.translate(x, Guide(backwards=back), random) for back in (False, True))
        assert torch.equal(forward, system.makers["b"](x)) and torch.equal(backward, system.makers["a"](x))


def test_the_rate_falls_in_the_second_half() -> None:
    system = started(system_of("cyclegan"), small("cyclegan"))
    assert [system.rate(done, 100) for done in (0, 50, 75, 100)] == [1.0, 1.0, 0.5, 0.0]


@pytest.mark.parametrize("objective", ["non-saturating", "minimax", "hinge", "wgan", "wgan-gp"])
def test_any_objective_of_the_tutorial(objective: str) -> None:
    config = small("cyclegan", objective=objective)
    trainer = SystemTrainer(started(system_of("cyclegan"), config), 10)
    trainer.step(drawing_of("cyclegan", config).batch(0))
    largest = max(float(p.detach().abs().max()) for p in trainer.system.judges.parameters())
    assert (largest <= 0.0101) is (objective == "wgan")  # clipped weights are WGAN's alone


def test_the_penalty_wants_gradients_of_length_one() -> None:
    config = CycleGANConfig(objective="wgan-gp")

    def slope(of: float) -> float:
        x, y = torch.zeros(2, 1, 1, 4), torch.ones(2, 1, 1, 4)
        return float(
            judged(config, lambda images: of * images.flatten(1).sum(1, keepdim=True), x, y, torch.Generator())
        )

    assert slope(0.5) == pytest.approx(0.5 * 4)  # length 0.5 sqrt(4) = 1: nothing but the critic's loss
    assert slope(1.5) == pytest.approx(1.5 * 4 + 10 * (3 - 1) ** 2)


def test_smoothing_needs_targets() -> None:
    with pytest.raises(ValidationError, match="expected an objective with targets"):
        CycleGANConfig(objective="hinge", smoothing=0.1)
