"""pix2pix: the published sizes, its losses by hand, and the parts that others share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import Once, parameters
from small_systems import drawing_of, pictures, small

from mgi.canny import canny, ridges, ridges_reference
from mgi.systems.adversarial import History, feature_matching, fool, judge
from mgi.systems.patches import MultiScale, PatchDiscriminator
from mgi.systems.registry import system_of
from mgi.systems.trainer import SystemTrainer, started
from mgi.systems.unet import UNet


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert parameters(UNet(3, 3, 64, 8)) == 54_413_955
        assert parameters(PatchDiscriminator(6, 64)) == 2_768_705


def test_a_patch_is_70_pixels() -> None:
    critic = PatchDiscriminator(3, 4, norm="none")
    image = pictures(1).repeat(1, 1, 4, 4).requires_grad_()
    logits = critic(image)
    (gradient,) = torch.autograd.grad(logits[0, 0, 7, 7], image)
    rows = gradient.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_the_losses_are_those_of_the_paper() -> None:
    config = small("pix2pix", jitter=False, flip=False)
    system = started(system_of("pix2pix"), config)
    batch = drawing_of("pix2pix", config).batch(0)
    fake = system.generator(batch.a, torch.Generator().manual_seed(0))
    ones = torch.ones_like(system.discriminator(torch.cat([batch.a, fake], 1)))
    real = system.discriminator(torch.cat([batch.a, batch.b], 1))
    bce = F.binary_cross_entropy_with_logits
    judged = 0.5 * (bce(real, ones) + bce(system.discriminator(torch.cat([batch.a, fake], 1)), 0 * ones))
    system.learn(batch, step := Once())
    seen = step.seen
    fooled = bce(system.discriminator(torch.cat([batch.a, fake], 1)), ones)
    assert seen["discriminator"] == pytest.approx(float(judged.detach()), rel=1e-5)
    assert seen["adversarial"] == pytest.approx(float(fooled.detach()), rel=1e-5)
    assert seen["l1"] == pytest.approx(100 * float((fake - batch.b).abs().mean().detach()), rel=1e-5)


def test_the_rate_falls_in_the_second_half() -> None:
    system = started(system_of("pix2pix"), small("pix2pix"))
    assert [system.rate(done, 100) for done in (0, 50, 75, 100)] == [1.0, 1.0, 0.5, 0.0]


def test_it_learns_negatives() -> None:
    config = small("pix2pix", width=8, batch=4, jitter=False, learning_rate=2e-3)
    drawing, trainer = drawing_of("pix2pix", config), SystemTrainer(started(system_of("pix2pix"), config), 1000)
    losses = [trainer.step(drawing.batch(number))["l1"] for number in range(40)]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_smoothing_moves_the_target_of_real_pictures_alone() -> None:
    real, fake = torch.tensor([0.3, -1.0]), torch.tensor([0.2, 2.0])
    ours = judge("non-saturating", real, fake, smoothing=0.1)
    bce = F.binary_cross_entropy_with_logits
    assert torch.allclose(ours, bce(real, torch.full_like(real, 0.9)) + bce(fake, torch.zeros_like(fake)))
    squares = judge("least-squares", [real], [fake], smoothing=0.1)
    assert torch.allclose(squares, 0.5 * (real - 0.9).square().mean() + 0.5 * fake.square().mean())
    with pytest.raises(ValueError, match="expected an objective with targets"):
        judge("hinge", real, fake, smoothing=0.1)


def test_several_discriminators_count_alike() -> None:
    maps = [torch.randn(2, 1, side, side) for side in (7, 3)]
    assert torch.allclose(fool("hinge", maps), (fool("hinge", maps[0]) + fool("hinge", maps[1])) / 2)
    critic = MultiScale([PatchDiscriminator(3, 4, 2), PatchDiscriminator(3, 4, 2)])
    real, fake = critic.features(pictures(2)), critic.features(pictures(2, seed=1))
    by_hand = [
        sum(float((x - y).detach().abs().mean()) for x, y in zip(r[:-1], f[:-1], strict=True))
        for r, f in zip(real, fake, strict=True)
    ]
    assert float(feature_matching(real, fake).detach()) == pytest.approx(float(np.mean(by_hand)), rel=1e-5)
    assert float(feature_matching(real, real).detach()) == 0


def test_the_history_gives_back_older_pictures_half_of_the_time() -> None:
    history, random = History(4, (1,)), torch.Generator().manual_seed(0)
    shown = [history.exchange(torch.full((1, 1), float(number)), random) for number in range(204)]
    assert [float(x) for x in shown[:4]] == [0, 1, 2, 3]
    older = [float(x) < number for number, x in enumerate(shown)][4:]
    assert 70 < sum(older) < 130
    assert torch.equal(History(0, (1,)).exchange(torch.ones(3, 1), random), torch.ones(3, 1))


def test_canny_finds_a_step_once_and_no_noise() -> None:
    step = np.zeros((32, 32))
    step[:, 16:] = 255
    found = canny(step)
    assert found.sum(axis=1).tolist() == [1] * 32
    assert not canny(np.random.default_rng(0).normal(128, 2, (32, 32))).any()
    faint = np.where(np.arange(32)[None, :] < 16, 100.0, 125.0) * np.ones((32, 1))
    assert not canny(faint).any()
    faint[:, 16:] += np.linspace(0, 60, 32)[:, None]  # at one end the same line is strong
    assert canny(faint).sum() > 28


def test_ridges_equal_their_loop() -> None:
    draw = np.random.default_rng(0)
    down, right = draw.normal(size=(2, 17, 23))
    strength = np.hypot(down, right)
    assert np.array_equal(ridges(strength, down, right), ridges_reference(strength, down, right))
