"""Learning a critic (`mgi.scoring.critic`) from pairs of a generator's pictures whose better one is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.critics import CriticFacts
from mgi.features import Backbone
from mgi.generators import Generator
from mgi.metrics.domain import DomainStatistics
from mgi.metrics.locations import lane_features
from mgi.scoring.critic import CriticNetwork
from mgi.training.constructed import KINDS, Constructed, Kind

HELD_OUT = 0.2
"""Share of the samples whose pairs only measure."""
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class CriticConfig:
    """Settings of a training.

    `samples` in all, `steps` of `batch` pairs of each kind, `width` of the network.
    """

    samples: int = 120
    steps: int = 600
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.03
    width: int = 48
    seed: int = 0


Features = dict[Kind, tuple[Tensor, Tensor]]
"""Features [n, K, g, g] of the better and the worse pictures of a kind."""


def train_critic(
    generator: Generator,
    backbone: Backbone,
    domain: DomainStatistics,
    named: tuple[str, str],
    size: int,
    config: CriticConfig,
    progress: Progress | None = None,
) -> tuple[CriticNetwork, CriticFacts]:
    """Learn a critic.

    Args:
        generator, backbone: on one device; the backbone is that of the domain.
        domain: in whose components it reads.
        named: name (or file) and sha256 of the generator.
        size: rows of the pictures that it judges.
        config: how much.
        progress: told about every phase.

    Returns:
        The network, and what its file says.
    """
    tell = progress or (lambda phase, done, total, text: None)
    begun = time.perf_counter()
    held = max(1, round(HELD_OUT * config.samples))
    first = config.seed << 20
    every = range(first, first + config.samples)
    apart = _features(Constructed(generator, backbone, size), domain, backbone, every, tell)
    learnt = {kind: _part(pairs, slice(held, None), config.samples) for kind, pairs in apart.items()}
    measured = {kind: _part(pairs, slice(0, held), config.samples) for kind, pairs in apart.items()}
    network = _fit(learnt, measured, config, tell)
    facts = CriticFacts(
        named[0],
        named[1],
        backbone.name,
        domain.layer,
        domain.images.n,
        size,
        config.width,
        {kind: round(share, 4) for kind, share in right(network, measured).items()},
        {"samples": config.samples, "steps": config.steps, "seconds": round(time.perf_counter() - begun)},
    )
    return network, facts


def _features(
    make: Constructed, domain: DomainStatistics, backbone: Backbone, seeds: range, tell: Progress
) -> Features:
    found: dict[Kind, tuple[list[Tensor], list[Tensor]]] = {kind: ([], []) for kind in KINDS}
    for number, seed in enumerate(seeds, start=1):
        for kind, pairs in make(seed).items():
            for pair in pairs:
                for side, image in zip(found[kind], pair, strict=True):
                    side.append(lane_features(image, backbone, domain.layer, domain.basis).half())
        tell("samples", number, len(seeds), "samples")
    return {kind: (torch.cat(better), torch.cat(worse)) for kind, (better, worse) in found.items()}


def _part(pairs: tuple[Tensor, Tensor], part: slice, samples: int) -> tuple[Tensor, Tensor]:
    """Of every sample in `part`, all pairs of a kind."""
    each = len(pairs[0]) // samples
    better, worse = (side.unflatten(0, (samples, each))[part].flatten(0, 1) for side in pairs)
    return better, worse


def _fit(learnt: Features, measured: Features, config: CriticConfig, tell: Progress) -> CriticNetwork:
    random = torch.Generator().manual_seed(config.seed)
    better = learnt["torn"][0]
    with torch.random.fork_rng(devices=[]):  # initial weights and dropout come from PyTorch's own generator
        torch.manual_seed(config.seed)
        network = CriticNetwork(better.shape[1], config.width).to(better.device)
        optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
        for step in range(config.steps):
            losses = []
            for good, bad in learnt.values():
                pick = torch.randint(len(good), (config.batch,), generator=random)
                other = torch.randint(len(better), (config.batch,), generator=random)
                x, y, z = good[pick].float(), bad[pick].float(), better[other].float()
                if float(torch.rand(1, generator=random)) < 0.5:
                    x, y, z = x.flip(-1), y.flip(-1), z.flip(-1)
                scores = network(torch.cat([x, y, z])).chunk(3)
                # Of one face, and of any: what a picture shows must not count.
                losses.append(F.softplus(scores[0] - scores[1]).mean() + F.softplus(scores[2] - scores[1]).mean())
            loss = torch.stack(losses).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            text = f"loss {loss.item():.3f}"
            if step % 100 == 99:
                network.eval()
                shares = ", ".join(f"{kind} {share:.2f}" for kind, share in right(network, measured).items())
                text = f"right on held-out pairs: {shares}"
                network.train()
            tell("critic", step + 1, config.steps, text)
    return network.eval()


@torch.no_grad()
def right(network: CriticNetwork, pairs: Features) -> dict[str, float]:
    """{kind: share of its pairs whose better picture gets the smaller number}."""
    return {
        kind: float((network(good.float()) < network(bad.float())).float().mean())
        for kind, (good, bad) in pairs.items()
    }
