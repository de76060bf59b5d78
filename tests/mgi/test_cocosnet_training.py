"""Training CoCosNet: published sizes and schedule, its losses by hand, exemplars of two kinds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_systems import drawing_of, guide_of, small
from torch import Tensor, nn

from mgi.losses.contextual import contextual_forward
from mgi.systems.cocosnet import LAYERS, CoCosNet, CoCosNetConfig, critic
from mgi.systems.cocosnet_networks import Correspondence, Generator, warped
from mgi.systems.distortion import distorted
from mgi.systems.matching import cells, full
from mgi.systems.registry import system_of
from mgi.systems.trainer import SystemTrainer, started


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_sizes() -> None:
    config = CoCosNetConfig(channels=15)
    with torch.device("meta"):
        assert parameters(Correspondence(config.shape)) == 51_430_980
        assert parameters(Generator(config.shape)) == 92_590_788


@pytest.mark.slow
def test_published_size_of_the_discriminators() -> None:
    with torch.device("meta"):
        one = critic(CoCosNetConfig(channels=15))
    assert 2 * parameters(one) == 5_722_244  # without the decoder, which the public code never uses


def test_the_published_weights_and_schedule() -> None:
    config = CoCosNetConfig()
    system = started(system_of("cocosnet"), small("cocosnet"))
    weights = {name: value for name, value in config.model_dump().items() if name.endswith("_weight")}
    assert weights == {
        "adversarial_weight": 10,
        "feature_weight": 10,
        "match_weight": 10,
        "perceptual_weight": 0.001,
        "contextual_weight": 10,
        "alignment_weight": 10,
        "cycle_weight": 1,
        "self_weight": 0,
        "mask_weight": 100,
    }
    players = system.players()
    assert (players["generator"].learning_rate, players["generator"].epsilon) == (1e-4, 1e-3)
    assert (players["discriminator"].learning_rate, config.beta1, config.beta2) == (4e-4, 0.0, 0.9)
    assert [system.rate(done, 100) for done in (0, 50, 75, 100)] == [1.0, 1.0, 0.5, 0.0]


class Fake:
    """Features whose maps are the pictures themselves, made smaller."""

    name, unit = "fake", 1.0

    def __call__(self, pictures: Tensor, layers: Any) -> dict[str, Tensor]:
        doubled = torch.cat([pictures, pictures.square()], 1)
        return {layer: F.avg_pool2d(doubled, 2 ** (number + 1)) for number, layer in enumerate(layers)}


def contextual_by_hand(x: Tensor, y: Tensor) -> float:
    """Of one picture each, place by place."""
    centre = y.mean(0)
    places = [(row, column) for row in range(x.shape[1]) for column in range(x.shape[2])]
    ours, theirs = ([F.normalize((z - centre)[:, r, c], dim=0) for r, c in places] for z in (x, y))
    best = []
    for one in ours:
        distances = torch.stack([1 - one @ other for other in theirs])
        weights = torch.exp((1 - distances / (distances.min() + 1e-3)) / 0.1)
        best.append(float(weights.max() / weights.sum()))
    return -float(torch.log(torch.tensor(best).mean()))


def test_the_losses_are_those_of_the_paper() -> None:
    more = {"match_weight": 10, "perceptual_weight": 0.001, "contextual_weight": 10, "self_weight": 100, "labels": 4}
    config = small("cocosnet", jitter=False, flip=False, **more)
    system, batch = started(system_of("cocosnet"), config).eval(), drawing_of("cocosnet", config).batch(0)
    assert isinstance(system, CoCosNet)
    system._perception._loaded[batch.b.device] = Fake()  # type: ignore[assignment]
    own = torch.tensor([1.0, 0.0])
    system._exemplars = lambda *_: (batch.b2, batch.a2, own)  # type: ignore[method-assign]
    seen: dict[str, float] = {}

    class Once:
        number, random = 0, torch.Generator().manual_seed(0)

        def update(self, player: str, terms: dict[str, Tensor]) -> None:
            seen.update({name: float(term.detach()) for name, term in terms.items()})

    system.learn(batch, Once())  # type: ignore[arg-type]
    system.requires_grad_(False)
    features, of_exemplar = system.correspondence.of_condition(batch.a), system.correspondence.of_picture(batch.b2)
    matching = system.correspondence.match(features, batch.a, of_exemplar, batch.a2, full)
    warp = warped(matching, batch.b2, "bilinear")
    fake, small_exemplar = system.generator(warp, batch.a), cells(batch.b2, 4)
    aligned = (features - system.correspondence.of_picture(batch.b)).abs().mean()
    judged = {n: system.discriminator.features(torch.cat([batch.a, x], 1)) for n, x in (("f", fake), ("r", batch.b))}
    both = [*zip(judged["r"], judged["f"], strict=True)]
    hinge = sum(float(F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean()) for r, f in both)
    same = sum(float((x - y).abs().mean()) for r, f in both for x, y in zip(r[:-1], f[:-1], strict=True))
    vgg = [[*Fake()(x, LAYERS).values()] for x in (fake, batch.b, batch.b2)]
    match = sum(
        w * float((x[0] - y[0]).abs().mean()) / 2
        for w, x, y in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), vgg[0], vgg[1], strict=True)
    )
    contextual = 0.0
    for layer, down, weight in ((2, 2, 2), (3, 1, 4), (4, 1, 8)):
        x, y = (F.avg_pool2d(vgg[which][layer], down) for which in (0, 2))
        contextual += weight * sum(contextual_by_hand(x[row], y[row]) for row in range(2)) / 2
    missed, known = 0.0, 0
    labels, of_exemplar_labels = (x[:, :, ::4, ::4].argmax(1) for x in (batch.a, batch.a2))
    brought = matching.carry(F.one_hot(of_exemplar_labels.flatten(1), 4).float()).unflatten(1, labels.shape[1:])
    for row in range(2):
        there = set(of_exemplar_labels[row].flatten().tolist())
        for down, right in [(a, b) for a in range(16) for b in range(16)]:
            if (label := int(labels[row, down, right])) in there:
                missed, known = missed - float(torch.log(brought[row, down, right, label] + 1e-10)), known + 1
    by_hand = {
        "alignment": 10 * float(aligned),
        "cycle": float((matching.back(matching.carry(small_exemplar)) - small_exemplar).abs().mean()),
        "self": 100 * float((warp[0] - batch.b[0]).abs().mean()) / 2,
        "mask": 100 * missed / known,
        "adversarial": 10 * -sum(float(f[-1].mean()) for _, f in both) / 2,
        "features": 10 * same / 2,
        "match": 10 * match,
        "perceptual": 0.001 * float((vgg[0][3] - vgg[1][3]).square().mean()),
        "contextual": 10 * contextual,
        "discriminator": 10 * hinge / 2,
    }
    assert seen.keys() == by_hand.keys()
    for name, value in by_hand.items():
        assert seen[name] == pytest.approx(value, rel=2e-3, abs=1e-5), name


def test_the_contextual_loss_is_zero_of_a_picture_and_itself() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 16, 4, 4), torch.randn(2, 16, 4, 4)
    assert float(contextual_forward(x, x).abs().max()) < 1e-3 < float(contextual_forward(x, y).min())
    assert float(contextual_forward(x[:1], y[:1])) == pytest.approx(contextual_by_hand(x[0], y[0]), rel=1e-3)


def test_a_picture_is_distorted_with_its_condition() -> None:
    ramp = torch.linspace(-1, 1, 32).expand(6, 3, 32, 32)
    picture, condition = distorted(ramp, ramp[:, :1], 0.1, False, torch.Generator().manual_seed(0))
    assert torch.allclose(picture[:, :1], condition)
    assert all(not torch.allclose(one, ramp[0]) for one in picture)
    mirrored = [float(one[0, :, -8:].mean() - one[0, :, :8].mean()) < 0 for one in picture]
    assert 0 < sum(mirrored) < 6
    again = distorted(ramp, ramp[:, :1], 0.1, False, torch.Generator().manual_seed(0))
    assert torch.equal(again[0], picture)
    labels = F.one_hot(torch.arange(32).expand(6, 32, 32) // 8, 4).permute(0, 3, 1, 2).float()
    moved = distorted(ramp, labels, 0.1, True, torch.Generator().manual_seed(0))[1]
    assert torch.equal(moved.sum(1), torch.ones(6, 32, 32)) and set(moved.unique().tolist()) == {0, 1}


def test_exemplars_are_other_pictures_or_the_picture_itself() -> None:
    for share, expected in ((1.0, 0.0), (0.0, 1.0)):
        config = small("cocosnet", other_exemplars=share, distortion=0)
        system, batch = started(system_of("cocosnet"), config), drawing_of("cocosnet", config).batch(0)
        assert isinstance(system, CoCosNet)
        picture, condition, own = system._exemplars(batch, torch.Generator().manual_seed(0))
        assert own.tolist() == [expected, expected]
        assert torch.equal(picture, batch.b2) == torch.equal(condition, batch.a2) == (share == 1)


@pytest.mark.parametrize("matching", ["full", "patchmatch"])
def test_it_learns_under_both_matchings_and_follows_its_exemplar(matching: str) -> None:
    config = small("cocosnet", matching=matching, candidates=2)
    trainer, drawing = SystemTrainer(started(system_of("cocosnet"), config), 100), drawing_of("cocosnet", config)
    before = {name: p.detach().clone() for name, p in trainer.system.named_parameters()}
    for number in range(2):
        trainer.step(drawing.batch(number))
    still = [name for name, p in trainer.system.named_parameters() if torch.equal(p, before[name])]
    assert [name for name in still if "bias" not in name] == []
    batch = drawing.batch(0)
    one, other = (trainer.translate(batch.a, guide_of(config, drawing.batch(step))) for step in (0, 1))
    assert not torch.equal(one, other)


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a multiple of 32 from 64 on, found 32"):
        CoCosNetConfig(size=32)
