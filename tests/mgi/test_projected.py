"""Discriminators on the features of a frozen network, of whole pictures and of patches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from mgi.features import load_backbone
from mgi.training.networks import Discriminator
from mgi.training.projected import ProjectedDiscriminator


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Halvings:
    """A feature network of one line: the image, pooled."""

    name, layers = "halvings", ("stride4", "stride8")

    def channels(self, layer: str) -> int:
        return 3

    def __call__(self, images: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        return {layer: avg_pool2d(images, int(layer.removeprefix("stride"))) for layer in layers}


def test_projected_discriminator() -> None:
    backbone = Halvings()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = ProjectedDiscriminator(backbone, backbone.layers, 64, (16, 16, 8))
    images = torch.randn(4, 3, 16, 16, generator=seeded(), requires_grad=True)
    logits = critic(images)
    assert logits.shape == (4, 16 + 16 + 16)  # pixels, and 4 x 4 positions of each head
    (gradient,) = torch.autograd.grad(logits.mean(), images)
    assert gradient.abs().sum() > 0
    # The mixing is fixed: neither trained nor different after a step, but saved with the rest.
    trained = {name for name, _ in critic.named_parameters()}
    assert not any(name.startswith(("channels", "scales")) for name in trained)
    assert {"channels0", "channels1", "scales1"} <= set(critic.state_dict())


@pytest.mark.parametrize("patches", [True, False])
def test_a_discriminator_of_patches_hardly_sees_beyond_them(patches: bool) -> None:
    backbone = load_backbone("efficientnet-lite0")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = ProjectedDiscriminator(backbone, backbone.layers, 128, (16,) * 5, False, patches).eval()
    images = 0.5 * interpolate(torch.randn(4, 3, 16, 16, generator=seeded()), size=64, mode="bicubic")
    changed = images.clone()
    changed[:, :, 40:, 40:] = 0
    moved = (critic(changed) - critic(images)).abs().mean(0)
    maps = moved.split([256, 256, 256, 64] if patches else [16] * 5)  # pixels, then scales from fine to coarse
    if patches:
        assert not maps[0].view(16, 16)[:6, :6].any()
    for scale in maps[1:]:
        rows = int(len(scale) ** 0.5)
        logits, quarter = scale.view(rows, rows), rows // 4
        far, near = logits[: 2 * quarter, : 2 * quarter].mean(), logits[3 * quarter :, 3 * quarter :].mean()
        assert (far < 0.2 * near) == patches


@pytest.mark.parametrize("deviation", [True, False])
def test_an_image_is_judged_with_its_neighbours_or_by_itself(deviation: bool) -> None:
    backbone = Halvings()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critics = [
            ProjectedDiscriminator(backbone, backbone.layers, 64, (16, 16, 8), deviation).eval(),
            Discriminator((16, 16, 8), deviation=deviation),
        ]
    images = torch.randn(4, 3, 16, 16, generator=seeded())
    others = torch.cat([images[:1], 3 * images[1:]])
    for critic in critics:
        same = torch.allclose(critic(images)[0], critic(others)[0], atol=1e-6)
        assert same is not deviation
