"""SRResNet and SRGAN: the sizes of the networks, what they see, their losses by hand, and when which is learnt."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from by_hand import Once, parameters
from small_systems import drawing_of, pictures, small

from mgi.features.vgg import PIXEL_UNITS
from mgi.systems.adversarial import judge
from mgi.systems.base import Guide
from mgi.systems.registry import system_of
from mgi.systems.srgan import LAYERS, SRGAN, Discriminator, SRGANConfig, SuperResolution
from mgi.systems.trainer import SystemTrainer, started


def test_sizes() -> None:
    with torch.device("meta"):
        assert parameters(SuperResolution(64, 16)) == 1_549_462
        critic = Discriminator(64, 96)
        convolutions = sum(parameters(layer) for layer in critic if isinstance(layer, torch.nn.Conv2d))
        assert convolutions == sum(9 * i * o + o for i, o in pairwise(CHANNELS))
        assert parameters(critic[-3]) == 512 * 6 * 6 * 1024 + 1024


CHANNELS = (3, 64, 64, 128, 128, 256, 256, 512, 512)


@pytest.mark.parametrize("size", [32, 96])
def test_a_discriminator_gives_one_logit_a_picture(size: int) -> None:
    assert Discriminator(4, size)(torch.zeros(2, 3, size, size)).shape == (2, 1)


def test_it_sees_a_quarter_by_a_bicubic_kernel() -> None:
    system = started(system_of("srresnet"), small("srresnet"))
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)
    low = system.sources(ramp)
    assert low.shape == (1, 3, 8, 8) and system.source_size == 8
    want = ramp[..., 0, :].unflatten(-1, (8, 4)).mean(-1)  # a symmetric kernel keeps a ramp
    assert torch.allclose(low[..., 0, 2:-2], want[..., 2:-2], atol=1e-5)
    noise = pictures(1)
    assert system.sources(noise).std() < 0.5 * noise.std()  # it is smoothed before it is thinned
    with torch.no_grad():
        assert system.eval().translate(low, Guide(), torch.Generator()).shape == ramp.shape


def test_a_picture_does_not_depend_on_its_batch() -> None:
    config = small("srresnet")
    drawing, trainer = drawing_of("srresnet", config), SystemTrainer(started(system_of("srresnet"), config), 4)
    trainer.step(drawing.batch(0))
    low = trainer.system.sources(drawing.batch(1).b)
    before = {name: x.clone() for name, x in trainer.system.state_dict().items()}
    both, alone = trainer.translate(low, Guide()), trainer.translate(low[:1], Guide())
    assert torch.allclose(both[:1], alone, atol=1e-5)
    assert all(torch.equal(x, before[name]) for name, x in trainer.system.state_dict().items())
    assert trainer.system.training


class Backbone:
    unit = PIXEL_UNITS["caffe-bgr"] / 3

    def __call__(self, images: torch.Tensor, layers: list[str]) -> dict[str, torch.Tensor]:
        return {layers[0]: F.avg_pool2d(images, 4)}


def test_the_losses_are_those_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgi.systems.perception.load_backbone", lambda name, device: Backbone())
    config = small("srgan", content="vgg54", flip=False, alone=0.5, pixel_weight=1.0)
    system = started(system_of("srgan"), config)
    batch, true = drawing_of("srgan", config).batch(0), drawing_of("srgan", config).batch(0).b
    first, last = Once(49), Once(50)
    system.learn(batch, first)
    system.learn(batch, last)
    made = system.generator(system.sources(true))
    want = {
        "mse": (made - true).square().mean(),
        "content": 0.006 * (3 * F.avg_pool2d(made - true, 4)).square().mean(),
        "adversarial": 1e-3 * F.softplus(-system.discriminator(made)).mean(),
        "discriminator": judge("non-saturating", system.discriminator(true), system.discriminator(made)),
    }
    want = {name: float(value.detach()) for name, value in want.items()}
    assert first.moved == ["generator"] and first.seen == pytest.approx({"mse": want["mse"]}, rel=1e-4)
    assert last.moved == ["discriminator", "generator"] and last.seen == pytest.approx(want, rel=1e-4)


def test_the_rate_falls_to_a_tenth_in_the_second_half_of_the_contest() -> None:
    system = SRGAN(SRGANConfig(size=32, width=4, blocks=1), training=False)
    assert [system.rate(done, 1200) for done in (0, 1000, 1099, 1100)] == [1.0, 1.0, 1.0, 0.1]


def test_layers_are_there() -> None:
    assert LAYERS["vgg54", "vgg16-imagenet"] == "relu5_3" and LAYERS["vgg54", "vgg19-imagenet"] == "relu5_4"


def test_it_learns_to_enlarge() -> None:
    config = small("srresnet", width=8, batch=4, learning_rate=2e-3, flip=False)
    drawing, trainer = drawing_of("srresnet", config), SystemTrainer(started(system_of("srresnet"), config), 100)
    losses = [trainer.step(drawing.batch(number))["mse"] for number in range(40)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
