"""Terms beside the discriminator's opinion: the spectrum that shows a hatching, similarities kept from the parent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_mobile import tiny_mobile_state, tiny_start
from torch import Tensor, nn

from mgi.training import Trainer, TrainingConfig
from mgi.training.adapted import AdaptedMobile
from mgi.training.augment import blurred
from mgi.training.consistency import consistency_loss
from mgi.training.repeated import repeated_share
from mgi.training.spectrum import spectrum_excess
from mgi.training.structure import FLOOR, WINDOW, structure, structure_distance

SMALL: dict[str, Any] = {
    "resolution": 32,
    "base_channels": 16,
    "z_dim": 8,
    "batch": 4,
    "discriminator": "residual",
    "head_start": 0,
    "structure": 0.0,
    "noise": 0.0,
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
    plain = float(spectrum_excess(others, real))
    assert float(spectrum_excess(real, real)) == 0
    faint = float(spectrum_excess(hatched(others, 0.02), real))
    strong = float(spectrum_excess(hatched(others, 0.1), real))
    assert plain < faint < strong
    assert float((hatched(others, 0.02) - others).square().mean()) < 0.005 * float(real.var())


def test_its_gradient_weakens_the_hatching_and_asks_for_nothing_that_is_missing() -> None:
    real, others = smooth(0), smooth(1)
    line = torch.arange(64)
    wave = torch.cos(torch.pi / 2 * (line[:, None] + line[None, :]))

    def slope(target: Tensor, strength: float) -> float:
        amplitude = torch.tensor(strength, requires_grad=True)
        spectrum_excess(others + amplitude * wave, target).backward()
        assert amplitude.grad is not None
        return float(amplitude.grad)

    assert slope(real, 0.05) > 0
    assert slope(hatched(real, 0.1), 0.05) == pytest.approx(0, abs=1e-3)


def test_one_dot_in_every_picture_does_not_please_the_spectrum() -> None:
    """It has all frequencies at once: soft pictures with it are nearer to the spectrum of sharp ones, on both sides."""
    sharp = smooth(0) + 0.02 * torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(9))
    soft, dots = smooth(1), dotted(smooth(1), 0.5)
    lacking = [float(spectrum_excess(sharp, images)) for images in (soft, dots)]
    assert lacking[1] < lacking[0] - 0.1
    assert float(spectrum_excess(dots, sharp)) >= float(spectrum_excess(soft, sharp))


def dotted(images: Tensor, strength: float) -> Tensor:
    """A bright dot at one place of every picture."""
    dots = images.clone()
    dots[:, :, 30:32, 38:40] += strength
    return dots


def test_detail_at_one_place_of_every_picture_shows_in_its_share() -> None:
    noise = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert abs(float(repeated_share(noise))) < 0.005
    assert float(repeated_share(noise[:1])) == 0
    assert float(repeated_share(noise[:1].expand(4, -1, -1, -1))) == pytest.approx(1)
    half = noise + noise[:1].roll(7, 3)  # as much detail of its own as there is in common
    assert float(repeated_share(half)) == pytest.approx(0.5, abs=0.02)
    plain, faint, strong = (float(repeated_share(dotted(smooth(1), by))) for by in (0, 0.1, 0.5))
    assert plain < 0.01 < faint < strong
    torch.testing.assert_close(repeated_share(smooth(1) / 2 + 0.5), repeated_share(smooth(1)))  # of any range


def test_the_share_is_the_mean_over_all_pairs_of_pictures() -> None:
    images = dotted(smooth(2, 5), 0.3)
    detail = images - blurred(images, 1.0)
    pairs = [float((detail[i] * detail[j]).sum()) for i in range(5) for j in range(5) if i != j]
    expected = sum(pairs) / len(pairs) / float(detail.square().sum((1, 2, 3)).mean())
    assert float(repeated_share(images)) == pytest.approx(expected, rel=1e-4)


def test_the_structure_is_that_of_ssim() -> None:
    """Against a plain twin: window, means, variances and covariance written out for some places."""
    x, y = smooth(0, 2), smooth(1, 2) + 0.5 * smooth(0, 2)
    found = structure(x, y)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    reach = round(3 * WINDOW)
    line = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * WINDOW**2))
    window = line[:, None] * line / (line[:, None] * line).sum()
    for row, column in ((20, 30), (9, 50), (40, 7)):
        around = slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1)
        parts = [(images[1] * weights).sum(0)[around].double() for images in (x, y)]
        means = [(window * part).sum() for part in parts]
        variances = [(window * (part - mean).square()).sum() for part, mean in zip(parts, means, strict=True)]
        covariance = (window * (parts[0] - means[0]) * (parts[1] - means[1])).sum()
        expected = (covariance + FLOOR) / ((variances[0] * variances[1]).sqrt() + FLOOR)
        assert float(found[1, 0, row, column]) == pytest.approx(float(expected), abs=1e-3)


def test_structure_is_free_of_colour_and_contrast_and_sees_what_is_gone() -> None:
    parent = smooth(0)
    assert float(structure_distance(parent, parent)) == pytest.approx(0, abs=1e-4)
    assert float(structure_distance(-parent, parent)) > 1
    tinted = parent * 0.5 + torch.tensor([0.3, -0.2, 0.1])[:, None, None]
    gone = parent.clone()
    gone[..., 20:36, 20:36] = gone[..., 20:36, 20:36].mean((2, 3), keepdim=True)
    assert float(structure_distance(tinted, parent)) < 0.2 * float(structure_distance(gone, parent))
    flat = torch.zeros(2, 3, 32, 32, requires_grad=True)
    structure_distance(flat, smooth(0, 2)[..., :32, :32]).backward()
    assert flat.grad is not None
    assert bool(flat.grad.isfinite().all())


def drift(term: str, weight: float, distance: Callable[[Any, Any, Tensor], Tensor]) -> float:
    """How far the generator is from its parent after some steps of fast learning: `distance` of both for some codes."""
    values = SMALL | {term: weight, "generator_rate": 0.02}
    trainer = Trainer(TrainingConfig.adapting("tiny", "", **values), start=tiny_start())
    parent = copy.deepcopy(trainer.generator)
    for _ in range(30):
        trainer.step(torch.ones(4, 3, 32, 32) * 0.5)
    z = torch.randn(16, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return float(distance(trainer.generator, parent, z))


def test_structure_stays_where_training_would_give_it_up() -> None:
    def of_pictures(generator: Any, parent: Any, z: Tensor) -> Tensor:
        return structure_distance(generator(z), parent(z))

    assert drift("structure", 100.0, of_pictures) < 0.6 * drift("structure", 0.0, of_pictures)


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
    def of_similarities(generator: Any, parent: Any, z: Tensor) -> Tensor:
        return consistency_loss(generator.features(z), parent.features(z))

    assert drift("consistency", 1e4, of_similarities) < 0.6 * drift("consistency", 0.0, of_similarities)


@pytest.mark.parametrize("name", ["spectrum", "structure", "consistency"])
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
