"""UNIT: the published sizes, one latent space of both sides, and its losses by hand."""

from __future__ import annotations

import pytest
import torch
from by_hand import Once, parameters
from pydantic import ValidationError
from small_systems import drawing_of, pictures, small

from mgi.systems.base import Guide
from mgi.systems.registry import system_of
from mgi.systems.trainer import started
from mgi.systems.unit import UNIT, UNITConfig


def test_published_sizes() -> None:
    with torch.device("meta"):
        apart, shared = (UNIT(UNITConfig(size=256, shared=count), training=False) for count in (0, 1))
    block = 2 * (9 * 256 * 256 + 256)
    assert parameters(apart.makers["a"]) == 11_140_483
    assert parameters(shared) == 2 * 11_140_483 - 2 * block  # one block of the encoder, one of the decoder


def test_shared_blocks_learn_from_both_sides() -> None:
    system = started(system_of("unit"), small("unit"))
    for side in "ab":
        gradients = torch.autograd.grad(
            system.decode(system.encode(pictures(1), side), side).sum(), list(system.makers["both"].parameters())
        )
        assert len(gradients) == 8 and sum(float(g.abs().sum()) for g in gradients) > 0


def test_the_losses_are_those_of_the_paper() -> None:
    config = small("unit", flip=False)
    system = started(system_of("unit"), config)
    batch, step = drawing_of("unit", config).batch(0), Once()
    system.learn(batch, step)
    assert step.moved == ["discriminators", "generators"]
    draws, judge_b = torch.Generator().manual_seed(0), system.judges["b"]
    with torch.no_grad():
        mean = system.encode(batch.a, "a")
        first, _, now, _, back, _ = (torch.randn(mean.shape, generator=draws) for _ in range(6))
        fake = system.decode(mean + now, "b")
        again = system.encode(fake, "b")
        judged = zip(judge_b(batch.b), judge_b(system.decode(mean + first, "b")), strict=True)
        want = {
            "reconstruction_a": 10 * (system.decode(mean + now, "a") - batch.a).abs().mean(),
            "kl_a": 0.01 * mean.square().mean(),
            "cycle_a": 10 * (system.decode(again + back, "a") - batch.a).abs().mean(),
            "cycle_kl_a": 0.01 * again.square().mean(),
            "adversarial_b": sum((logits - 1).square().mean() for logits in judge_b(fake)),
            "discriminator_b": sum((real - 1).square().mean() + made.square().mean() for real, made in judged),
        }
    assert {name: step.seen[name] for name in want} == pytest.approx({n: float(v) for n, v in want.items()}, rel=1e-4)


def test_it_goes_both_ways_through_the_same_space() -> None:
    system = started(system_of("unit"), small("unit"))
    x, random = pictures(1), torch.Generator()
    with torch.no_grad():
        forward, back = (system.translate(x, Guide(backwards=backwards), random) for backwards in (False, True))
        assert torch.equal(forward, system.decode(system.encode(x, "a"), "b"))
        assert torch.equal(back, system.decode(system.encode(x, "b"), "a"))


def test_no_more_blocks_are_shared_than_there_are() -> None:
    with pytest.raises(ValidationError, match="expected at most the 4 blocks that there are, found 5"):
        UNITConfig(shared=5)
