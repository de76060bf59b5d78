"""SPADE, SEAN and panoptic-aware synthesis: published sizes, layers against loops, losses by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_systems import drawing_of, guide_of, small
from torch import Tensor, nn

from mgi.systems.base import Batch, Guide
from mgi.systems.panoptic import (
    PanopticConv,
    PanopticUpsample,
    panoptic_conv_reference,
    panoptic_upsample_reference,
    smaller,
    sources,
)
from mgi.systems.patches import MultiScale
from mgi.systems.perception import FIRST, Perception
from mgi.systems.regions import StyleEncoder, region_means, region_means_reference, spread, spread_reference
from mgi.systems.registry import system_of
from mgi.systems.spade_networks import BatchStatistics, Generator, Modulation, Scene, Sean, Sizes, identity_of
from mgi.systems.spectral import SpectralPatches
from mgi.systems.trainer import SystemTrainer, started

KINDS = ("spade", "sean", "panoptic")


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def classes(rows: int, seed: int = 0, labels: int = 4, count: int = 2) -> Tensor:
    """A one-hot map of blocks."""
    draw = np.random.default_rng(seed)
    blocks = torch.from_numpy(draw.integers(0, labels, (count, rows // 4, rows // 4)))
    return F.one_hot(blocks.repeat_interleave(4, 1).repeat_interleave(4, 2), labels).permute(0, 3, 1, 2).float()


@pytest.mark.slow
def test_published_sizes() -> None:
    published = {("spade", 151): 96_492_483, ("spade", 184): 97_480_899, ("sean", 19): 266_907_361}
    with torch.device("meta"):
        for (kind, maps), count in published.items():
            assert parameters(Generator(Sizes(maps, 64, 128, 512, kind), 5)) == count  # type: ignore[arg-type]
        assert parameters(MultiScale([SpectralPatches(154, 64) for _ in range(2)])) == 5_836_930


def test_panoptic_convolution_is_its_loop() -> None:
    torch.manual_seed(0)
    identity = torch.randint(0, 3, (2, 6, 7))
    layer, x = PanopticConv(3, 4), torch.randn(2, 3, 6, 7)
    assert layer.bias is not None
    slow = panoptic_conv_reference(x, identity, layer.weight.detach(), layer.bias.detach())
    assert torch.allclose(layer(x, identity), slow, atol=1e-5)


def test_panoptic_convolution_sees_its_own_instance_alone() -> None:
    torch.manual_seed(0)
    identity = (torch.arange(8) // 4).expand(1, 8, 8)
    layer, x = PanopticConv(2, 2), torch.randn(1, 2, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x, identity)[0, :, :, :4].sum(), x)
    assert gradient[..., :4].abs().min() > 0 and not gradient[..., 4:].any()
    alone = layer(x, torch.zeros(1, 8, 8))
    assert torch.allclose(alone[..., 1:-1, 1:-1], nn.Conv2d.forward(layer, x)[..., 1:-1, 1:-1], atol=1e-6)


def test_panoptic_upsampling_is_its_loop() -> None:
    torch.manual_seed(1)
    fine = torch.randint(0, 5, (2, 5, 6)).repeat_interleave(2, 1).repeat_interleave(2, 2)
    fine[:, ::3] = torch.randint(0, 5, fine[:, ::3].shape)
    coarse, map = fine[:, ::2, ::2], torch.randn(2, 3, 10, 12)
    layer, x = PanopticUpsample(3, 4), torch.randn(2, 4, 5, 6)
    hole = sources(coarse, fine)[1]
    assert 0 < hole.float().mean() < 0.5
    weight, bias = layer.appeared.weight.detach(), layer.appeared.bias
    assert bias is not None
    slow = panoptic_upsample_reference(x, coarse, fine, map, weight, bias.detach())
    assert torch.allclose(layer(x, coarse, fine, map), slow, atol=1e-5)


def test_panoptic_upsampling_takes_the_neighbour_of_the_same_instance_and_encodes_what_appears() -> None:
    fine = torch.tensor([[[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 7], [0, 0, 0, 0]]])
    coarse = smaller(fine, 2)
    assert coarse.tolist() == [[[0, 1], [0, 0]]]
    source, hole = sources(coarse, fine)
    assert int(source[0, 0, 1]) == 1, "its own cell is of another instance; its right neighbour is not"
    assert hole.nonzero().tolist() == [[0, 2, 3]], "instance 7 has only appeared"
    layer, x, map = PanopticUpsample(2, 3), torch.randn(1, 3, 2, 2), torch.randn(1, 2, 4, 4)
    found = layer(x, coarse, fine, map)
    assert torch.equal(found[0, :, 0, 1], x[0, :, 0, 1])
    assert torch.allclose(found[0, :, 2, 3], layer.appeared(map, fine)[0, :, 2, 3])
    everywhere = torch.zeros(1, 4, 4, dtype=torch.long)
    assert torch.equal(layer(x, everywhere[:, :2, :2], everywhere, map), F.interpolate(x, scale_factor=2))


def test_regions_are_their_loops() -> None:
    torch.manual_seed(0)
    map, features = classes(8, labels=5), torch.randn(2, 3, 8, 8)
    map[0, 4] = 0  # a class that is nowhere
    codes = region_means(features, map)
    assert torch.allclose(codes, region_means_reference(features, map), atol=1e-6)
    assert torch.allclose(spread(codes, map), spread_reference(codes, map), atol=1e-6)
    assert StyleEncoder(6, 2)(torch.randn(2, 3, 16, 16), classes(16)).shape == (2, 4, 6)


def test_sean_mixes_style_and_map_and_adds_its_noise() -> None:
    torch.manual_seed(0)
    layer = Sean(3, 4, 5, 6).eval()
    assert not layer.noise.any() and layer.blending.tolist() == [0, 0]
    map, x, codes = classes(8), torch.randn(2, 3, 8, 8), torch.randn(2, 4, 6)
    gamma, beta = layer.spade(map)
    style = spread(F.relu(layer.regions(codes)), map)
    by_hand = x / (1 + 1e-5) ** 0.5 * (1 + (gamma + layer.gamma(style)) / 2) + (beta + layer.beta(style)) / 2
    assert torch.allclose(layer(x, Scene(map, codes)), by_hand, atol=1e-6)
    layer.noise.data += 1
    first, second, other = (
        layer(x, Scene(map, codes, random=torch.Generator().manual_seed(seed))) for seed in (0, 0, 1)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_statistics_are_those_of_the_framework() -> None:
    ours, theirs, x = BatchStatistics(3), nn.BatchNorm2d(3, affine=False), torch.randn(4, 3, 5, 5)
    assert torch.allclose(ours(x), theirs(x))
    assert torch.allclose(ours.eval()(x), theirs.eval()(x))
    assert Modulation(3, 2, 4)(torch.randn(1, 2, 5, 5))[0].shape == (1, 3, 5, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_losses_are_those_of_the_paper(kind: str) -> None:
    config = small("spade", normalization=kind, jitter=False, flip=False)
    system, batch = started(system_of("spade"), config), drawing_of("spade", config).batch(0)
    seen: dict[str, float] = {}
    fakes: list[Tensor] = []
    system.generator.register_forward_hook(lambda *call: fakes.append(call[-1]))

    class Once:
        number, random = 0, torch.Generator().manual_seed(0)

        def update(self, player: str, terms: dict[str, Tensor]) -> None:
            seen.update({name: float(term.detach()) for name, term in terms.items()})

    for parameterised in system.modules():  # the vectors of the power method would move with every pass
        parameterised.training = isinstance(parameterised, BatchStatistics)
    system.learn(batch, Once())  # type: ignore[arg-type]
    system.requires_grad_(False)
    (fake,) = fakes
    fake = fake.detach()
    of = {name: system.discriminator.features(torch.cat([batch.a, x], 1)) for name, x in (("f", fake), ("r", batch.b))}
    hinge = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(of["r"], of["f"], strict=True)]
    assert len(hinge) == 2 and len(of["r"][0]) == (4 if kind == "sean" else 5)
    assert seen["discriminator"] == pytest.approx(float(sum(hinge)) / 2, rel=1e-4)
    assert seen["adversarial"] == pytest.approx(-float(sum(f[-1].mean() for f in of["f"])) / 2, rel=1e-3, abs=1e-5)
    matched = sum(
        float((x - y).abs().mean())
        for r, f in zip(of["r"], of["f"], strict=True)
        for x, y in zip(r[:-1], f[:-1], strict=True)
    )
    assert seen["features"] == pytest.approx(10 / 2 * matched, rel=1e-4)


def test_the_perceptual_loss_by_hand() -> None:
    class Fake:
        name, unit = "fake", 2.0

        def __call__(self, pictures: Tensor, layers: Any) -> dict[str, Tensor]:
            return {layer: pictures * number for number, layer in enumerate(layers, 1)}

    perception, x, y = Perception("vgg16-imagenet"), torch.rand(2, 3, 4, 4, requires_grad=True), torch.rand(2, 3, 4, 4)
    perception._loaded[x.device] = Fake()  # type: ignore[assignment]
    by_hand = (1 / 32 + 2 / 16 + 3 / 8 + 4 / 4 + 5) * float((x - y).detach().abs().mean()) / 2
    found = perception.distance(x, y)
    assert len(FIRST) == 5 and float(found.detach()) == pytest.approx(by_hand, rel=1e-5)
    assert torch.autograd.grad(found, x)[0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_each_kind_learns(kind: str) -> None:
    config = small("spade", normalization=kind)
    trainer, drawing = SystemTrainer(started(system_of("spade"), config), 100), drawing_of("spade", config)
    before = {name: p.detach().clone() for name, p in trainer.system.named_parameters()}
    for number in range(3):
        trainer.step(drawing.batch(number))
    still = [name for name, p in trainer.system.named_parameters() if torch.equal(p, before[name])]
    assert [name for name in still if "regions" not in name and "bias" not in name] == []
    batch = drawing.batch(0)
    guided = trainer.translate(batch.a, guide_of(config, batch))
    assert guided.shape == batch.b.shape and trainer.system.training
    other = trainer.translate(batch.a, guide_of(config, drawing.batch(1)))
    assert torch.equal(guided, other) == (kind != "sean")


def test_two_time_scales_and_the_published_schedule() -> None:
    system = started(system_of("spade"), small("spade"))
    assert {name: player.learning_rate for name, player in system.players().items()} == {
        "generator": 1e-4,
        "discriminator": 4e-4,
    }
    assert (system.config.beta1, system.config.beta2) == (0.0, 0.9)
    assert [system.rate(done, 100) for done in (0, 50, 75, 100)] == [1.0, 1.0, 0.5, 0.0]


def test_it_learns_the_colours_of_classes() -> None:
    config = small("spade", learning_rate=4e-3, beta1=0.5)
    trainer, none = SystemTrainer(started(system_of("spade"), config), 1000), torch.zeros(2, dtype=torch.long)
    colours = torch.tensor([[-0.8, -0.8, 0.8], [0.8, 0.0, -0.8], [0.5, 0.9, 0.9], [-0.5, 0.6, -0.9]])

    def batch(seed: int) -> Batch:
        a = classes(32, seed)
        b = torch.einsum("bnhw,nc->bchw", a, colours)
        return Batch(a, b, none, none, a, b)

    def distance() -> float:
        return float((trainer.translate(batch(99).a, Guide()) - batch(99).b).abs().mean())

    start = distance()
    for number in range(160):
        trainer.step(batch(number))
    assert distance() < 0.75 * start, "six draws of batches ended at 0.27 to 0.56 of it, after 40 steps at 0.80 to 1.18"


def test_identities_are_connected_regions() -> None:
    labels = torch.tensor([[[0, 0, 1], [1, 0, 1], [1, 0, 0]]])
    found = identity_of(F.one_hot(labels, 2).permute(0, 3, 1, 2).float())
    assert found.unique().tolist() == [0, 1, 2] and int(found[0, 0, 2]) == int(found[0, 1, 2]) != int(found[0, 1, 0])


def test_sizes_that_cannot_be_are_refused() -> None:
    kind = system_of("spade").config_type
    with pytest.raises(ValueError, match="expected a multiple of 32"):
        kind.model_validate({"size": 48})
    with pytest.raises(ValueError, match="more than one place of smallest features"):
        kind.model_validate({"size": 32, "batch": 1})
    assert kind.model_validate({"normalization": "sean"}).needs_labels and not kind().needs_labels
