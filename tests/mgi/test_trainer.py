"""The trainer: the same run however often it stops and however many processes share it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from mgi.training import Losses, Trainer, TrainingConfig, TrainingError
from mgi.training.data import Pictures, loader, split

SMALL: dict[str, Any] = {
    "resolution": 32,
    "base_channels": 16,
    "z_dim": 8,
    "batch": 4,
    "objective": "non-saturating",
    "discriminator": "residual",
    "reconstruction": 0.0,
    "r1": 0.5,
    "r1_every": 2,
}


DEFAULTS: dict[str, Any] = {"objective": "hinge", "discriminator": "projected", "reconstruction": 5.0, "r1": 0.0}


def pictures(count: int = 24) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def train(trainer: Trainer, steps: int, images: Tensor) -> list[Losses]:
    batches = trainer.batches(len(images))
    return [trainer.step(images[next(batches)]) for _ in range(steps)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"objective": "wgan-gp", "critic_steps": 2},
        {"spectral": True, "r1": 0},
        {"reconstruction": 2.0},
        DEFAULTS,
    ],
)
def test_a_stopped_run_goes_on_bit_for_bit(changes: dict[str, Any]) -> None:
    config, images = TrainingConfig(**SMALL | changes), pictures()
    whole = Trainer(config)
    losses = train(whole, 8, images)
    first = Trainer(config)
    early = train(first, 3, images)
    second = Trainer(config)
    second.load_state(copy.deepcopy(first.state()))
    late = train(second, 5, images)

    assert [*early, *late] == losses
    for network in ("generator", "discriminator", "average"):
        expected, found = (getattr(trainer, network).state_dict() for trainer in (whole, second))
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(3))
    assert torch.equal(whole.sample(z), second.sample(z))


def test_seeds_differ_and_repeat() -> None:
    images = pictures()
    runs = [train(Trainer(TrainingConfig(**SMALL, seed=seed)), 2, images) for seed in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.slow
def test_the_generator_learns_and_the_average_follows() -> None:
    images = torch.full((16, 3, 32, 32), 0.7)
    trainer = Trainer(TrainingConfig(**SMALL, augment=(), ema_images=20, learning_rate=5e-3))
    z = torch.randn(8, 8, generator=torch.Generator().manual_seed(3))
    before = trainer.sample(z).mean()
    train(trainer, 120, images)
    assert abs(float(trainer.sample(z).mean()) - 0.7) < 0.3 < abs(float(before) - 0.7)


@pytest.mark.parametrize("batch", [2, 4, 6])
def test_real_images_are_judged_without_a_look_at_generated_ones(batch: int) -> None:
    """The minibatch deviation of a group counts the differences of its images; none may be of both kinds."""
    config, images = TrainingConfig(**SMALL | {"batch": batch}), pictures(batch)
    one, other = Trainer(config), Trainer(config)
    with torch.no_grad():
        other.generator.to_rgb.bias += 3
    found, expected = (trainer.step(images) for trainer in (one, other))
    assert found.real_logit == pytest.approx(expected.real_logit, abs=1e-5)
    assert found.fake_logit != pytest.approx(expected.fake_logit, abs=1e-5)


def test_order_of_images() -> None:
    config = TrainingConfig(**SMALL)
    batches = Trainer(config).batches(10)
    epochs = [[next(batches), next(batches)] for _ in range(3)]
    for epoch in epochs:
        seen = [index for batch in epoch for index in batch]
        assert len(set(seen)) == 8
        assert all(0 <= index < 10 for index in seen)
    assert epochs[0] != epochs[1]
    later = Trainer(config)
    later.steps_done = 3
    assert next(later.batches(10)) == epochs[1][1]
    halves = [next(Trainer(config, rank=rank, world=2).batches(10)) for rank in (0, 1)]
    assert sorted(halves[0] + halves[1]) == sorted(epochs[0][0])
    with pytest.raises(TrainingError, match="3 images do not fill a batch of 4"):
        next(Trainer(config).batches(3))
    with pytest.raises(TrainingError, match="does not divide among 3"):
        Trainer(config, world=3)


def test_wrong_checkpoints_are_refused() -> None:
    trainer = Trainer(TrainingConfig(**SMALL))
    other = Trainer(TrainingConfig(**SMALL | {"base_channels": 32})).state()
    with pytest.raises(TrainingError, match="another architecture"):
        trainer.load_state(other)
    with pytest.raises(TrainingError, match="no training state"):
        trainer.load_state({"state_dict": {}})


def test_the_loader_gives_batches_in_range() -> None:
    train_rows, held_out = split(25)
    assert held_out == [0, 10, 20]
    assert len(train_rows) == 22
    array = (torch.arange(25, dtype=torch.uint8).view(25, 1, 1, 1) * 10).expand(25, 4, 4, 3).numpy()
    batch = next(loader(Pictures(array, train_rows), [[0, 21]]))
    assert batch.shape == (2, 3, 4, 4)
    assert batch[0, 0, 0, 0] == pytest.approx(10 / 127.5 - 1)
    assert batch[1, 0, 0, 0] == pytest.approx(240 / 127.5 - 1)
    assert torch.equal(Pictures(array, train_rows)[21], batch[1])
