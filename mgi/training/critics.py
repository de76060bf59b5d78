"""Learning a critic (`mgi.scoring.critic`) from pairs of a generator's pictures whose better one is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.critics import CriticFacts
from mgi.features import Backbone
from mgi.generators import Generator, StyledGenerator, is_styled
from mgi.metrics.domain import DomainStatistics
from mgi.metrics.locations import lane_features
from mgi.scoring.critic import CriticNetwork
from mgi.training.constructed import KINDS, Constructed
from mgi.training.known import known_translation

HELD_OUT = 0.2
"""Share of the samples whose pairs only measure."""
INVERTED_SEED = 1 << 40
"""Seeds of known translations begin here, and at the training's own seed."""
AT_ONCE = 8
"""Translations per step."""
Progress = Callable[[str, int, int, str], None]
Invert = Callable[[Tensor, Tensor, int], list[Tensor]]
"""Source and exemplar [1, 3, S, S] and a seed -> the results of all hypotheses, of the same shape."""


@dataclass(frozen=True)
class CriticConfig:
    """Settings of a training.

    `samples` in all, `steps` of `batch` pairs of each kind, `width` of the network. The results of `inverted` known
    translations have to get numbers that are alike, with the weight `alike`.
    """

    samples: int = 120
    inverted: int = 0
    alike: float = 0.3
    steps: int = 600
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.03
    width: int = 48
    seed: int = 0


Pair = tuple[Tensor, Tensor]
"""Features [K, g, g] of the better and of the worse picture."""
Samples = dict[str, list[list[Pair]]]
"""Of every kind, the pairs of each sample."""
Features = dict[str, Pair]
"""Features [n, K, g, g] of the better and the worse pictures of a kind."""


def train_critic(
    generator: Generator,
    backbone: Backbone,
    domain: DomainStatistics,
    named: tuple[str, str],
    size: int,
    config: CriticConfig,
    progress: Progress | None = None,
    invert: Invert | None = None,
) -> tuple[CriticNetwork, CriticFacts]:
    """Learn a critic.

    Args:
        generator, backbone: on one device; the backbone is that of the domain.
        domain: in whose components it reads.
        named: name (or file) and sha256 of the generator.
        size: rows of the pictures that it judges.
        config: how much.
        progress: told about every phase.
        invert: translates a pair by every hypothesis; needed if `config.inverted` is not 0.

    Returns:
        The network, and what its file says.
    """
    tell = progress or (lambda phase, done, total, text: None)
    begun = time.perf_counter()
    first = config.seed << 20
    every = range(first, first + config.samples)
    seen = partial(_seen, backbone=backbone, domain=domain)
    pairs = _constructed(Constructed(generator, backbone, size), seen, every, tell)
    held = max(1, round(HELD_OUT * config.samples))
    measured = {kind: _stacked(found[:held]) for kind, found in pairs.items()}
    learnt = {kind: _stacked(found[held:]) for kind, found in pairs.items()}
    results: list[Tensor] = []
    if config.inverted:
        assert invert is not None and is_styled(generator)
        known = range(INVERTED_SEED + first, INVERTED_SEED + first + config.inverted)
        results = _inverted(generator, invert, seen, known, size, tell)
    apart = max(1, round(HELD_OUT * len(results))) if results else 0
    network = _fit(learnt, measured, results[apart:], config, tell)
    facts = CriticFacts(
        named[0],
        named[1],
        backbone.name,
        domain.layer,
        domain.images.n,
        size,
        config.width,
        {kind: round(share, 4) for kind, share in right(network, measured).items()},
        {
            "samples": config.samples,
            "inverted": config.inverted,
            "alike": config.alike,
            "spread": round(spread(network, results[:apart]), 3) if results else None,
            "steps": config.steps,
            "seconds": round(time.perf_counter() - begun),
        },
    )
    return network, facts


def _seen(image: Tensor, backbone: Backbone, domain: DomainStatistics) -> Tensor:
    """What a critic reads of a picture: [K, g, g]."""
    return lane_features(image, backbone, domain.layer, domain.basis)[0].half()


def _constructed(make: Constructed, seen: Callable[[Tensor], Tensor], seeds: range, tell: Progress) -> Samples:
    found: Samples = {kind: [] for kind in KINDS}
    for number, seed in enumerate(seeds, start=1):
        for kind, pairs in make(seed).items():
            found[kind].append([(seen(better), seen(worse)) for better, worse in pairs])
        tell("samples", number, len(seeds), "samples")
    return found


def _inverted(
    generator: StyledGenerator,
    invert: Invert,
    seen: Callable[[Tensor], Tensor],
    seeds: range,
    size: int,
    tell: Progress,
) -> list[Tensor]:
    """What a critic reads of the results of every translation, [H, K, g, g] each."""
    found = []
    for number, seed in enumerate(seeds, start=1):
        known = known_translation(generator, seed, max(1, generator.resolution // size))
        found.append(torch.stack([seen(result) for result in invert(known.source, known.exemplar, seed)]))
        tell("inversions", number, len(seeds), "translations")
    return found


def _stacked(samples: list[list[Pair]]) -> Pair:
    """All pairs of some samples."""
    pairs = [pair for sample in samples for pair in sample]
    better, worse = (torch.stack(side) for side in zip(*pairs, strict=True))
    return better, worse


def _fit(
    learnt: Features, measured: Features, results: list[Tensor], config: CriticConfig, tell: Progress
) -> CriticNetwork:
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
            if results:
                loss = loss + config.alike * _difference(network, results, random)
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


def _difference(network: CriticNetwork, results: list[Tensor], random: torch.Generator) -> Tensor:
    """Mean squared difference of the numbers of two results of the same translation.

    Which layer codes were composed at leaves traces that the eye does not see; without this the critic learns them.
    """
    pairs = []
    for number in torch.randint(len(results), (AT_ONCE,), generator=random).tolist():
        order = torch.randperm(len(results[number]), generator=random)
        pairs.append(results[number][[int(order[0]), int(order[-1])]].float())
    both = torch.stack(pairs)
    if float(torch.rand(1, generator=random)) < 0.5:
        both = both.flip(-1)
    numbers = network(both.flatten(0, 1)).view(-1, 2)
    return (numbers[:, 0] - numbers[:, 1]).square().mean()


@torch.no_grad()
def spread(network: CriticNetwork, results: list[Tensor]) -> float:
    """Median over translations of the largest less the smallest number of their results."""
    numbers = [network(features.float()) for features in results]
    return float(torch.stack([found.max() - found.min() for found in numbers]).median())


@torch.no_grad()
def right(network: CriticNetwork, pairs: Features) -> dict[str, float]:
    """{kind: share of its pairs whose better picture gets the smaller number}."""
    return {
        kind: float((network(good.float()) < network(bad.float())).float().mean())
        for kind, (good, bad) in pairs.items()
    }
