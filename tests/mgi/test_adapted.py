"""Adapting a generator: the trainable twin of a frozen one, the cut, what is frozen, what starts where."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_mobile import tiny_mobile_state, tiny_start
from torch import Tensor

from mgi.generators import load_file
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.training import Trainer, TrainingConfig, TrainingError
from mgi.training.adapted import AdaptedMobile, mobile
from mgi.training.adapted.mobile import cut, with_image_head
from mgi.training.augment import blurred
from mgi.training.parents import start_of

SMALL: dict[str, Any] = {
    "resolution": 32,
    "base_channels": 16,
    "z_dim": 8,
    "batch": 4,
    "discriminator": "residual",
    "freeze": ["mapping"],
    "head_start": 0,
}


@pytest.fixture
def parent() -> MobileStyleGAN:
    return MobileStyleGAN(tiny_mobile_state())


def codes(count: int) -> Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(1))


def test_the_trainable_twin_equals_the_frozen_generator(parent: MobileStyleGAN) -> None:
    state = tiny_mobile_state()
    twin = AdaptedMobile(state)
    assert set(twin.state_dict()) == set(state)
    assert (twin.z_dim, twin.resolution) == (8, 64)
    torch.testing.assert_close(twin(codes(3)), parent(codes(3)), rtol=1e-3, atol=1e-3)


def test_truncation_goes_towards_the_mean_code(parent: MobileStyleGAN) -> None:
    twin = AdaptedMobile(tiny_mobile_state())
    z = torch.randn(1024, 8, generator=torch.Generator().manual_seed(0))
    mean = parent.to_w(z).mean(0)
    found = twin(codes(2), truncation=0.5).detach()
    expected = parent.synthesize((0.5 * (mean + parent.to_w(codes(2))))[:, None].expand(-1, parent.styles, -1))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    same = twin(codes(2), truncation=0.0).detach()
    torch.testing.assert_close(same[0], same[1])


def test_every_parameter_gets_a_gradient() -> None:
    twin = AdaptedMobile(tiny_mobile_state())
    twin(codes(2)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in twin.parameters())


@pytest.mark.parametrize("resolution", [16, 32])
def test_a_cut_with_its_head_is_a_generator_of_that_size(
    parent: MobileStyleGAN, resolution: int, tmp_path: Path
) -> None:
    small = with_image_head(cut(tiny_mobile_state(), resolution), parent, pictures=16)
    save_file(small, tmp_path / "small.safetensors")
    found: Any = load_file(tmp_path / "small.safetensors")
    assert found.resolution == resolution
    torch.testing.assert_close(found(codes(2)), AdaptedMobile(small)(codes(2)), rtol=1e-3, atol=1e-3)
    layer = found.layers
    torch.testing.assert_close(  # everything before the head is the parent's
        found.head(found.to_w(codes(2)), layer), parent.head(parent.to_w(codes(2)), layer), rtol=1e-3, atol=1e-3
    )


def test_a_style_goes_into_features_or_weights_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for positions in (0, 10**6):
        monkeypatch.setattr(mobile, "POSITIONS", positions)
        twin = AdaptedMobile(tiny_mobile_state())
        images = twin(codes(2))
        images.square().mean().backward()
        found.append([images.detach(), *(parameter.grad for parameter in twin.parameters())])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_the_head_is_the_best_linear_one(parent: MobileStyleGAN) -> None:
    """Its residual is as small as that of an independent least-squares fit on the same pictures."""
    kept = cut(tiny_mobile_state(), 32)
    z = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    fitted = AdaptedMobile(with_image_head(kept, parent, pictures=8, batch=8))
    target = F.avg_pool2d(parent(z), 2)
    residual = float((fitted(z).detach() - target).square().mean())
    features = parent.head(parent.to_w(z), 5)
    x = torch.cat([features, torch.ones_like(features[:, :1])], 1)
    patches = F.pixel_unshuffle(target, 2)  # Haar coefficients are a rotation of these
    flat, wanted = (t.permute(0, 2, 3, 1).flatten(0, 2).double() for t in (x, patches))
    best = float((flat @ torch.linalg.lstsq(flat, wanted).solution - wanted).square().mean())
    assert residual == pytest.approx(best, rel=1e-3)
    assert residual < float(target.var())


def test_the_parents_own_size_keeps_its_head(parent: MobileStyleGAN) -> None:
    state = tiny_mobile_state()
    kept = with_image_head(cut(state, 64), parent)
    assert all(torch.equal(kept[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("parts", "below", "frozen", "learns"),
    [
        (("mapping",), 0, "mapping.0.weight", "synthesis.input"),
        (("depthwise",), 0, "synthesis.blocks.1.conv1.depthwise", "synthesis.blocks.1.conv1.pointwise"),
        (("styles",), 0, "synthesis.conv0.affine.bias", "synthesis.conv0.weight"),
        (("stem", "input"), 0, "synthesis.conv0.bias", "synthesis.conv0.affine.weight"),
        ((), 16, "synthesis.blocks.0.conv2.pointwise", "synthesis.blocks.1.conv2.pointwise"),
        (("mapping", "styles", "pointwise", "depthwise"), 64, "synthesis.input", "synthesis.to_image.affine.weight"),
    ],
)
def test_what_is_frozen_stays(parts: tuple[str, ...], below: int, frozen: str, learns: str) -> None:
    config = TrainingConfig.adapting("tiny", "", **SMALL | {"freeze": parts, "freeze_below": below})
    trainer = Trainer(config, start=tiny_start())
    images = 2 * torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(2)) - 1
    before = copy.deepcopy(trainer.generator.state_dict())
    trainer.step(images[:4])
    after = trainer.generator.state_dict()
    assert torch.equal(before[frozen], after[frozen])
    assert not torch.equal(before[learns], after[learns])


def test_every_tensor_moves_in_proportion_to_its_size() -> None:
    """Adam's first step moves every number by the rate: the same fraction of each tensor, however small or large."""
    config = TrainingConfig.adapting("tiny", "", **SMALL | {"freeze": ()}, generator_rate=1e-2, style_rate=0.5)
    state = {name: tensor * (100 if "depthwise" in name else 1) for name, tensor in tiny_start().items()}
    trainer = Trainer(config, start=state)
    before = copy.deepcopy(trainer.generator.state_dict())
    trainer.step(2 * torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(2)) - 1)
    for name, rate in {
        "synthesis.blocks.1.conv2.depthwise": 1e-2,
        "synthesis.blocks.1.conv2.pointwise": 1e-2,
        "synthesis.conv0.affine.bias": 5e-3,
        "mapping.0.weight": 1e-3,
    }.items():
        old, new = (tensors[name] for tensors in (before, trainer.generator.state_dict()))
        moved = (new - old).square().mean().sqrt() / old.square().mean().sqrt()
        assert float(moved) == pytest.approx(rate, rel=0.1)


def test_the_generator_waits_for_the_discriminators_head_start() -> None:
    trainer = Trainer(TrainingConfig.adapting("tiny", "", **SMALL | {"head_start": 8}), start=tiny_start())
    images = 2 * torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(2)) - 1
    moved = []
    for _ in range(3):
        before = copy.deepcopy(trainer.generator.state_dict())
        seen = copy.deepcopy(trainer.discriminator.state_dict())
        trainer.step(images)
        moved.append(
            any(not torch.equal(before[name], found) for name, found in trainer.generator.state_dict().items())
        )
        assert any(not torch.equal(seen[name], found) for name, found in trainer.discriminator.state_dict().items())
    assert moved == [False, False, True]


def test_a_stopped_adaptation_goes_on_bit_for_bit() -> None:
    config = TrainingConfig.adapting("tiny", "", **SMALL, blur_images=20)
    images = 2 * torch.rand(24, 3, 32, 32, generator=torch.Generator().manual_seed(2)) - 1

    def train(trainer: Trainer, steps: int) -> list[Any]:
        batches = trainer.batches(len(images))
        return [trainer.step(images[next(batches)]) for _ in range(steps)]

    whole, first, second = (Trainer(config, start=tiny_start()) for _ in range(3))
    losses = train(whole, 6)
    early = train(first, 2)
    second.load_state(copy.deepcopy(first.state()))
    assert [*early, *train(second, 4)] == losses
    assert torch.equal(whole.sample(codes(2)), second.sample(codes(2)))


def test_the_discriminator_sees_real_and_generated_images_under_noise_of_their_step() -> None:
    config = TrainingConfig.adapting("tiny", "", **SMALL, noise=0.3, augment=(), flip=False)

    def seen_by() -> list[Tensor]:
        trainer, seen = Trainer(config, start=tiny_start()), []

        def judge(images: Tensor) -> Tensor:
            seen.append(images.detach().clone())
            return trainer.discriminator(images)

        trainer._judge = judge
        trainer.step(torch.zeros(4, 3, 32, 32))
        return seen

    both, again = seen_by()
    real, fake = both[:4], both[4:]
    assert float(real.std()) == pytest.approx(0.3, rel=0.05)  # of black pictures: noise and nothing else
    difference = fake - again  # one picture, as both players see it in a step: each time under other noise
    assert float(difference.std()) == pytest.approx(0.3 * 2**0.5, rel=0.05)
    assert all(torch.equal(one, other) for one, other in zip((both, again), seen_by(), strict=True))


def test_an_export_is_small_and_nearly_the_same(tmp_path: Path) -> None:
    trainer = Trainer(TrainingConfig.adapting("tiny", "", **SMALL), start=tiny_start())
    trainer.export(tmp_path / "adapted.safetensors", {"licence": "CC0"})
    expected = trainer.sample(codes(4))
    found = load_file(tmp_path / "adapted.safetensors")(codes(4))
    assert float((found - expected).abs().mean()) < 0.02 * float(expected.std())
    with safe_open(tmp_path / "adapted.safetensors", "pt") as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        assert file.metadata()["licence"] == "CC0"
    assert kinds["synthesis.conv0.weight"] == "I8" and kinds["mapping.0.weight"] == "F16"
    assert kinds["synthesis.conv0.weight.scale"] == "F16"


def test_digests_of_trainings_from_scratch_are_as_they_were() -> None:
    assert TrainingConfig().digest() == "ebe314d346409959bbd97e3799e1a6953537c692d6af9b2165d01a6d04f0eebb"
    assert TrainingConfig(blur_images=10).digest() != TrainingConfig().digest()
    adapted = TrainingConfig.adapting("a", "1")
    assert adapted.digest() != TrainingConfig.adapting("a", "2").digest()
    assert adapted.reconstruction == 0


def test_blur_keeps_the_mean_and_removes_detail() -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    soft = blurred(images, 2.0)
    assert soft.shape == images.shape
    assert float(soft.std()) < 0.3 * float(images.std())
    assert float(soft.mean()) == pytest.approx(float(images.mean()), abs=0.02)
    assert torch.equal(blurred(images, 0.1), images)
    torch.testing.assert_close(blurred(torch.ones(1, 3, 8, 8), 2.0), torch.ones(1, 3, 8, 8))


def test_parents_that_cannot_be_adapted_are_named(tmp_path: Path) -> None:
    save_file(tiny_mobile_state(), tmp_path / "tiny.safetensors")
    with pytest.raises(TrainingError, match="it has 16, 32, 64, asked for 128"):
        start_of(str(tmp_path / "tiny.safetensors"), 128)
    with pytest.raises(TrainingError, match=r"expected a generator of the zoo .* found neither"):
        start_of("nothing", 64)
    with pytest.raises(TrainingError, match="the parent makes 32 pixels from 8 numbers, expected 64 and 512"):
        Trainer(TrainingConfig.adapting("tiny", "", resolution=64, discriminator="residual"), start=tiny_start())
    tensors, sha256 = start_of(str(tmp_path / "tiny.safetensors"), 64)
    assert set(tensors) == set(tiny_mobile_state()) and len(sha256) == 64
