"""EdgeGAN: its losses by hand, and what reaches whom."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small_systems import SIZE, drawing_of, pictures, small

from mgi.systems.base import Guide
from mgi.systems.edgegan import Critic, EdgeGAN, Encoder, Generator, focal
from mgi.systems.registry import system_of
from mgi.systems.trainer import started


def test_shapes_follow_the_size() -> None:
    assert Generator(12, 4, SIZE)(torch.randn(3, 12)).shape == (3, 3, SIZE, SIZE)
    assert Critic(4, SIZE, 2 * SIZE)(torch.randn(3, 3, SIZE, 2 * SIZE)).shape == (3,)
    assert Encoder(4, 8)(pictures(3)).shape == (3, 8)
    with torch.device("meta"):
        generator = Generator(100 + 14, 64, 64)
        critic = Critic(64, 64, 128)
    assert (
        sum(p.numel() for p in generator.parameters())
        == 115 * 8192 + 25 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 256 + 128 + 64 + 3
    )
    assert (
        sum(p.numel() for p in critic.parameters()) == 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 512 * 32 + 1
    )


def test_the_focal_loss_forgets_what_is_known() -> None:
    logits, classes = torch.tensor([[4.0, 0.0], [0.0, 0.5]]), torch.tensor([0, 1])
    p = torch.softmax(logits, 1)[[0, 1], classes]
    assert torch.allclose(focal(logits, classes, 2.0), ((1 - p) ** 2 * -p.log()).mean())
    assert torch.allclose(focal(logits, classes, 0.0), F.cross_entropy(logits, classes))


def test_a_step_moves_everybody_in_order() -> None:
    config = small("edgegan")
    system = started(system_of("edgegan"), config)
    batch, turns = drawing_of("edgegan", config).batch(0), []

    class Watched:
        number, random = 0, torch.Generator().manual_seed(0)

        def update(self, player: str, terms: dict[str, torch.Tensor]) -> None:
            turns.append((player, sorted(terms)))

    system.learn(batch, Watched())  # type: ignore[arg-type]
    generators = ("generators", ["class", "edge", "image", "joint"])
    assert turns == [
        ("joint", ["joint_critic", "joint_penalty"]),
        ("image", ["image_critic", "image_penalty"]),
        ("edge", ["edge_critic", "edge_penalty"]),
        ("classifier", ["classifier"]),
        generators,
        ("encoder", ["latent"]),
        generators,
    ]


def test_the_encoder_learns_z_of_drawn_edges() -> None:
    system = started(system_of("edgegan"), small("edgegan", domains=()))
    assert isinstance(system, EdgeGAN)
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    edges = system.edge(z).detach()
    optimizer = torch.optim.Adam(system.encoder.parameters(), 2e-3)
    losses = []
    for _ in range(60):
        loss = (system.encoder(edges) - z).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_the_class_decides_the_picture_and_the_sketch_too() -> None:
    system = started(system_of("edgegan"), small("edgegan"))
    assert isinstance(system, EdgeGAN)
    random = torch.Generator()
    with torch.no_grad():
        of_class = [system.translate(pictures(1), Guide(domain=torch.tensor([k])), random) for k in (0, 1)]
        other = system.translate(pictures(1, seed=5), Guide(domain=torch.tensor([0])), random)
    assert not torch.allclose(of_class[0], of_class[1]) and not torch.allclose(of_class[0], other)
    assert started(system_of("edgegan"), small("edgegan", domains=())).classifier is None  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        system.translate(pictures(1), Guide(), random)
