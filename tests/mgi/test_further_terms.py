"""Terms beside the discriminator's opinion: the spectrum that shows a hatching, similarities kept from the parent."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tiny_mobile import tiny_mobile_state, tiny_start
from torch import Tensor, nn

from mgi.training import Trainer, TrainingConfig
from mgi.training.adapted import AdaptedMobile
from mgi.training.consistency import consistency_loss
from mgi.training.spectrum import spectrum_distance

SMALL: dict[str, Any] = {
    "resolution": 32,
    "base_channels": 16,
    "z_dim": 8,
    "batch": 4,
    "discriminator": "residual",
    "head_start": 0,
}


def smooth(seed: int, count: int = 16) -> Tensor:
    """Pictures whose power falls with the frequency, as that of photographs does."""
    noise = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return 0.3 * nn.functional.interpolate(noise, size=64, mode="bicubic")


def hatched(images: Tensor, strength: float) -> Tensor:
    line = torch.arange(images.shape[-1])
    return images + strength * torch.cos(torch.pi / 2 * (line[:, None] + line[None, :]))


def test_a_faint_hatching_is_far_away_in_the_spectrum() -> None:
    real, others = smooth(0), smooth(1)
    plain = float(spectrum_distance(others, real))
    assert float(spectrum_distance(real, real)) == 0
    faint = float(spectrum_distance(hatched(others, 0.02), real))
    strong = float(spectrum_distance(hatched(others, 0.1), real))
    assert plain < faint < strong
    assert float((hatched(others, 0.02) - others).square().mean()) < 0.005 * float(real.var())


def test_its_gradient_weakens_the_hatching_and_strengthens_what_is_missing() -> None:
    real, others = smooth(0), smooth(1)
    line = torch.arange(64)
    wave = torch.cos(torch.pi / 2 * (line[:, None] + line[None, :]))

    def slope(target: Tensor, strength: float) -> float:
        amplitude = torch.tensor(strength, requires_grad=True)
        spectrum_distance(others + amplitude * wave, target).backward()
        assert amplitude.grad is not None
        return float(amplitude.grad)

    assert slope(real, 0.05) > 0 > slope(hatched(real, 0.1), 0.05)


def test_the_consistency_is_the_published_divergence() -> None:
    random = torch.Generator().manual_seed(0)
    mine, theirs = (torch.randn(4, 3, 5, 5, generator=random) for _ in range(2))
    rows = []
    for features in (mine, theirs):  # as the public code writes it, one pair after another
        cosine = [
            [
                float(torch.cosine_similarity(features[i].flatten(), features[j].flatten(), dim=0))
                for j in range(4)
                if j != i
            ]
            for i in range(4)
        ]
        rows.append(torch.tensor(cosine).softmax(1))
    expected = (rows[1] * (rows[1].log() - rows[0].log())).mean()  # `nn.KLDivLoss()`: mean over all elements
    torch.testing.assert_close(consistency_loss([mine], [theirs]), expected)
    torch.testing.assert_close(consistency_loss([mine, theirs], [theirs, theirs]), expected / 2)


def test_consistency_holds_samples_apart_that_training_draws_together() -> None:
    def drift(weight: float) -> float:
        """How far the samples' similarities go from the parent's in some steps of fast learning."""
        values = SMALL | {"consistency": weight, "generator_rate": 0.02}
        trainer = Trainer(TrainingConfig.adapting("tiny", "", **values), start=tiny_start())
        parent = copy.deepcopy(trainer.generator)
        for _ in range(30):
            trainer.step(torch.ones(4, 3, 32, 32) * 0.5)
        z = torch.randn(16, 8, generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            return float(consistency_loss(trainer.generator.features(z), parent.features(z)))

    assert drift(1e4) < 0.6 * drift(0.0)


@pytest.mark.parametrize("name", ["spectrum", "consistency"])
def test_a_weight_changes_a_step_and_a_digest(name: str) -> None:
    trained = []
    for weight in (0.0, 10.0):
        config = TrainingConfig.adapting("tiny", "", **SMALL | {name: weight})
        trainer = Trainer(config, start=tiny_start())
        for _ in range(2):  # a parent agrees with itself until it has moved
            trainer.step(smooth(3, 4)[..., :32, :32])
        trained.append((config.digest(), trainer.generator(torch.ones(1, 8)).detach()))
    assert trained[0][0] != trained[1][0]
    assert not torch.equal(trained[0][1], trained[1][1])


def test_features_are_those_of_every_block() -> None:
    twin = AdaptedMobile(tiny_mobile_state())
    features = twin.features(torch.zeros(2, 8) + 1)
    assert [tuple(x.shape[2:]) for x in features] == [(4 << n, 4 << n) for n in range(1, len(features) + 1)]
