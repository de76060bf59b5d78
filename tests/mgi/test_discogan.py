"""DiscoGAN: the published sizes, whose turn it is, its losses by hand before and after the curriculum."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Once, parameters
from small_systems import drawing_of, pictures, small

from mgi.systems.base import Guide
from mgi.systems.discogan import Discriminator, EncoderDecoder
from mgi.systems.registry import system_of
from mgi.systems.trainer import started


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert parameters(EncoderDecoder(64)) == 5_513_856
        assert parameters(Discriminator(64, 64)) == 2_765_568


@pytest.mark.parametrize("size", [32, 64])
def test_a_discriminator_gives_one_logit_a_picture(size: int) -> None:
    assert Discriminator(4, size)(torch.zeros(2, 3, size, size)).shape == (2, 1, 1, 1)


def test_discriminators_move_in_every_third_step() -> None:
    config = small("discogan")
    system, batch = started(system_of("discogan"), config), drawing_of("discogan", config).batch(0)
    step = Once()
    for step.number in range(4):
        system.learn(batch, step)
    assert step.moved == ["discriminators", "generators", "generators", "discriminators"]


@pytest.mark.parametrize(("number", "rate"), [(1, 0.01), (10_001, 0.5)])
def test_the_losses_are_those_of_the_public_code(number: int, rate: float) -> None:
    config = small("discogan", history=0)
    system = started(system_of("discogan"), config)
    batch, step = drawing_of("discogan", config).batch(0), Once(number)
    system.learn(batch, step)
    system.learn(batch, only := Once(0))
    to_a, to_b, judge = system.makers["a"], system.makers["b"], system.judges["b"]
    with torch.no_grad():
        fake = to_b(batch.a)
        layers = zip(judge.features(batch.b), judge.features(fake), strict=True)
        matched = sum((x.mean(0) - y.mean(0)).square().mean() for x, y in layers)
        want = {
            "reconstruction_a": rate * ((to_a(fake) - batch.a) / 2).square().mean(),  # pictures count in [0, 1]
            "matching_b": 0.9 * (1 - rate) * matched,
            "adversarial_b": 0.1 * (1 - rate) * F.softplus(-judge(fake)).mean(),
        }
        judged = 0.5 * (F.softplus(-judge(batch.b)).mean() + F.softplus(judge(fake)).mean())
    assert {name: step.seen[name] for name in want} == pytest.approx({n: float(v) for n, v in want.items()}, rel=1e-4)
    assert only.seen["discriminator_b"] == pytest.approx(float(judged), rel=1e-4)


def test_it_goes_both_ways_by_statistics_of_the_training() -> None:
    system = started(system_of("discogan"), small("discogan")).eval()
    x, random = pictures(2), torch.Generator()
    with torch.no_grad():
        forward, back = (system.translate(x, Guide(backwards=backwards), random) for backwards in (False, True))
        assert torch.allclose(system.translate(x[:1], Guide(), random), forward[:1], atol=1e-5)
    assert not torch.allclose(forward, back) and -1 <= float(forward.min()) <= float(forward.max()) <= 1
