"""Learning a critic (`mgi.scoring.critic`) from pairs of a generator's pictures whose better one is known."""

from __future__ import annotations

import itertools
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
from mgi.training.known import known_translation, unit_distance

HELD_OUT = 0.2
"""Share of the samples whose pairs only measure."""
INVERTED = "inverted"
"""Kind of the pairs with results of inversions: worse than the truth, and the farther one worse than the nearer."""
CLEAR = 0.03
"""By so large a share must the distances of two results from the truth differ to say which one is nearer."""
NEAR_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
INVERTED_SEED = 1 << 40
"""Seeds of known translations begin here, and at the training's own seed."""
Progress = Callable[[str, int, int, str], None]
Invert = Callable[[Tensor, Tensor, int], list[Tensor]]
"""Source and exemplar [1, 3, S, S] and a seed -> the results of all hypotheses, of the same shape."""


@dataclass(frozen=True)
class CriticConfig:
    """Settings of a training.

    `samples` in all, `inverted` known translations whose results count as well, `steps` of `batch` pairs of each kind,
    `width` of the network.
    """

    samples: int = 120
    inverted: int = 0
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
    if config.inverted:
        assert invert is not None and is_styled(generator)
        known = range(INVERTED_SEED + first, INVERTED_SEED + first + config.inverted)
        pairs[INVERTED] = _inverted(generator, backbone, invert, seen, known, size, tell)
    held = {kind: max(1, round(HELD_OUT * len(found))) for kind, found in pairs.items()}
    measured = {kind: _stacked(found[: held[kind]]) for kind, found in pairs.items()}
    learnt = {kind: _stacked(found[held[kind] :]) for kind, found in pairs.items()}
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
        {
            "samples": config.samples,
            "inverted": config.inverted,
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
    backbone: Backbone,
    invert: Invert,
    seen: Callable[[Tensor], Tensor],
    seeds: range,
    size: int,
    tell: Progress,
) -> list[list[Pair]]:
    found = []
    for number, seed in enumerate(seeds, start=1):
        known = known_translation(generator, seed, max(1, generator.resolution // size))
        results = invert(known.source, known.exemplar, seed)
        distances = [unit_distance(result, known.truth, backbone, NEAR_LAYERS) for result in results]
        found.append(known_pairs(seen(known.truth), [seen(result) for result in results], distances))
        tell("inversions", number, len(seeds), "translations")
    return found


def known_pairs(truth: Tensor, results: list[Tensor], distances: list[float]) -> list[Pair]:
    """The truth before every result, and the nearer result before the farther one where that is clear."""
    pairs = [(truth, result) for result in results]
    for one, other in itertools.combinations(range(len(results)), 2):
        near, far = sorted((one, other), key=lambda number: distances[number])
        if distances[far] > (1 + CLEAR) * distances[near]:
            pairs.append((results[near], results[far]))
    return pairs


def _stacked(samples: list[list[Pair]]) -> Pair:
    """All pairs of some samples."""
    pairs = [pair for sample in samples for pair in sample]
    better, worse = (torch.stack(side) for side in zip(*pairs, strict=True))
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
