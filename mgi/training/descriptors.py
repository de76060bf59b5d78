"""Learning a descriptor (`mgi.features.descriptor`) from a generator's own samples: unlimited, without labels.

Every sample is a picture and the generator's features under it. They are learnt as a linear map first (ridge
regression, exact, in one pass), and then by a small network on top of it, from a buffer whose oldest samples are
replaced by new ones all the time, so that it never sees a fixed set.

Samples: `mgi.training.descriptor_samples`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.features import Backbone
from mgi.features.descriptor import (
    GRID,
    PLACES,
    DescriptorFacts,
    DescriptorHead,
)
from mgi.generators import Generator
from mgi.training.descriptor_samples import PLAIN, READ_LAYERS, Samples, Variation
from mgi.training.descriptor_twins import TwinBuffer, with_styles

POSITIONS = 1500
"""Of every sample, for the linear map."""
MATCHED_POSITIONS, MATCHED_ALPHA = 512, 20.0
"""Positions of a picture and inverse temperature of `matching_loss`."""
HELD_OUT_SEED, TWINS_SEED = 7_000_000, 8_000_000
SAMPLES_PER_TWIN = 4
LARGEST_NORM = 1.0
"""Of a step's gradients, which are 0.5 as a rule: one of 40 used to leave a network that adds nothing to the linear
map."""


@dataclass(frozen=True)
class DescriptorConfig:
    """Settings of a training.

    `samples` in all, `calibration` of them also decide what is kept of the features, `steps` of the network (0: the
    linear map alone), `outputs` K and `inner` channels kept, `width` of the network, `buffer` samples held in memory,
    `held_out` samples to measure with. `mixed`, `colours`, `grey` and `geometry` are the shares of the samples that are
    changed (`descriptor_samples.Variation`). `matching` weighs how far matches between pictures differ from those of
    the generator's features (`matching_loss`), `contrast` how badly pictures of one structure in two styles find each
    other's places (`descriptor_twins`; there are a quarter as many such twins as samples).
    """

    samples: int = 2000
    calibration: int = 64
    steps: int = 1600
    batch: int = 8
    learning_rate: float = 5e-4
    outputs: int = 128
    inner: int = 384
    width: int = 192
    buffer: int = 400
    held_out: int = 48
    mixed: float = 0.6
    colours: float = 0.5
    grey: float = 0.15
    geometry: float = 0.35
    matching: float = 0.0
    contrast: float = 0.0
    seed: int = 0


Progress = Callable[[str, int, int, str], None]
"""Called with (phase, done, total, what was measured)."""


def train_descriptor(
    generator: Generator,
    backbone: Backbone,
    named: tuple[str, str],
    config: DescriptorConfig,
    progress: Progress | None = None,
) -> tuple[DescriptorHead, DescriptorFacts]:
    """Learn a descriptor.

    Args:
        generator, backbone: on one device.
        named: name (or file) and sha256 of the generator.
        config: how much.
        progress: told about every phase.

    Returns:
        The head, and what its file says.
    """
    tell = progress or (lambda phase, done, total, text: None)
    begun = time.perf_counter()
    if config.contrast:
        with_styles(generator)  # said before minutes of samples
    with torch.no_grad():
        training = _Training(generator, backbone, config, tell)
        linear = training.linear_map()
    if config.steps:
        training.refine()
    explained = training.explained()
    card = {
        "samples": training.made,
        "steps": config.steps,
        "explained_linear": round(linear, 4),
        "explained_changed": round(training.explained(changed=True), 4),
        "outputs_keep": round(training.kept, 4),
        "seconds": round(time.perf_counter() - begun),
    }
    facts = DescriptorFacts(
        named[0], named[1], training.samples.layers, backbone.name, READ_LAYERS, config.width, round(explained, 4), card
    )
    return training.head, facts


def matching_loss(found: Tensor, target: Tensor, random: torch.Generator) -> Tensor:
    """How far matches from picture to picture differ from those of the generator's features.

    Cross entropy between the two softmaxes over a neighbour picture's positions, less its smallest value: a contrastive
    loss whose positives are not one place but those that the features of the generator would choose.

    Args:
        found, target: [B, K, G, G] with B >= 2; each picture is matched with the next one.
        random: picks `MATCHED_POSITIONS` of each.
    """
    places = torch.randperm(found.shape[-1] ** 2, generator=random)[:MATCHED_POSITIONS].to(found.device)
    there = torch.randperm(found.shape[-1] ** 2, generator=random)[:MATCHED_POSITIONS].to(found.device)

    def logits(features: Tensor) -> Tensor:
        unit = F.normalize(features.flatten(2), dim=1)
        return MATCHED_ALPHA * unit[:, :, places].transpose(1, 2) @ unit.roll(-1, 0)[:, :, there]

    expected = logits(target).softmax(2)
    return F.kl_div(logits(found).log_softmax(2), expected, reduction="sum") / expected.shape[:2].numel()


class _Training:
    def __init__(self, generator: Generator, backbone: Backbone, config: DescriptorConfig, tell: Progress) -> None:
        self.config, self._tell = config, tell
        self.samples = Samples(
            generator, backbone, Variation(config.mixed, config.colours, config.grey, config.geometry)
        )
        self.made = 0
        inputs, targets = _Moments(), _Moments()
        for features, target in self._new("calibrate", config.calibration):
            inputs.add(features)
            targets.add(target)
        reduce, _ = inputs.principal(config.inner)
        self.basis, self.kept = targets.principal(config.outputs)
        with torch.random.fork_rng(devices=[]):  # initial weights come from PyTorch's own generator
            torch.manual_seed(config.seed)
            head = DescriptorHead(len(reduce), reduce.shape[1], config.width, self.basis.shape[1])
        self.head = head.to(reduce.device)
        self.head.reduce.weight.copy_(reduce.t()[:, :, None, None])
        # Filled in place: small tensors that stay between large ones that go would tear the heap to pieces.
        size = (config.buffer, reduce.shape[1] + PLACES, GRID, GRID)
        self._inputs = torch.zeros(size, dtype=torch.half)
        self._targets = torch.zeros((config.buffer, self.basis.shape[1], GRID, GRID), dtype=torch.half)
        self._held = self._held_out(PLAIN)
        self._changed = self._held_out(Variation())

    def _held_out(self, variation: Variation) -> list[tuple[Tensor, Tensor]]:
        samples = Samples(self.samples.generator, self.samples.backbone, variation)
        held = (self._reduced(*samples(HELD_OUT_SEED + index)) for index in range(self.config.held_out))
        return [(a.half(), b.half()) for a, b in held]

    def _new(self, phase: str, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        for index in range(count):
            yield self.samples((self.config.seed << 20) + self.made)
            self.made += 1
            self._tell(phase, index + 1, count, "samples")

    def _reduced(self, features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.head.reduced(features), torch.einsum("bchw,ck->bkhw", target, self.basis)

    def linear_map(self) -> float:
        """Ridge regression over the first half of the samples, which also fill the buffer; returns what it explains."""
        config, random = self.config, torch.Generator().manual_seed(self.config.seed)
        count = max(config.buffer, config.samples // 4) if config.steps else config.samples - self.made
        gram: Tensor | float = 0.0
        product: Tensor | float = 0.0
        for index, sample in enumerate(self._new("linear map", count)):
            x, y = self._reduced(*sample)
            self._inputs[index % config.buffer], self._targets[index % config.buffer] = x[0], y[0]
            places = torch.randperm(GRID * GRID, generator=random)[:POSITIONS].to(x.device)
            flat_x, flat_y = x[0].flatten(1)[:, places], y[0].flatten(1)[:, places]
            gram = gram + (flat_x @ flat_x.t()).double()
            product = product + (flat_x @ flat_y.t()).double()
        assert isinstance(gram, Tensor)
        ridge = torch.eye(len(gram), dtype=gram.dtype, device=gram.device) * gram.diagonal().mean() * 1e-5
        self.head.linear.weight.copy_(torch.linalg.solve(gram + ridge, product).float().t()[:, :, None, None])
        return self.explained()

    def refine(self) -> None:
        """The network on top, by Adam, from a buffer that is renewed sample by sample."""
        config, random = self.config, torch.Generator().manual_seed(self.config.seed + 1)
        learnt = [p for name, p in self.head.named_parameters() if name != "reduce.weight"]
        optimiser = torch.optim.AdamW(learnt, lr=config.learning_rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, config.learning_rate, total_steps=config.steps, pct_start=0.1
        )
        fresh = max(0, config.samples - self.made)
        twins = self._twins() if config.contrast else None
        for step in range(config.steps):
            with torch.no_grad():
                while self.made < config.samples and self._due(step, fresh):
                    x, y = self._reduced(*self.samples((config.seed << 20) + self.made))
                    place = self.made % config.buffer
                    self._inputs[place], self._targets[place] = x[0], y[0]
                    self.made += 1
                    if twins and self.made % SAMPLES_PER_TWIN == 0:
                        twins.renew()
            pick = torch.randint(config.buffer, (config.batch,), generator=random)
            device = self.basis.device
            x, y = self._inputs[pick].to(device).float(), self._targets[pick].to(device).float()
            found = self.head.from_reduced(x.contiguous(memory_format=torch.channels_last))
            loss = (found - y).square().sum(1).mean() + (1 - F.cosine_similarity(found, y, dim=1)).mean()
            if config.matching:
                loss = loss + config.matching * matching_loss(found, y, random)
            if twins:
                loss = loss + config.contrast * twins.loss(max(1, config.batch // 2), random)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learnt, LARGEST_NORM)
            optimiser.step()
            schedule.step()
            text = f"loss {loss.item():.3f}"
            if step % 100 == 99:
                text = f"explains {self.explained():.3f} of held-out features"
            self._tell("network", step + 1, config.steps, text)

    def _twins(self) -> TwinBuffer:
        count = max(1, self.config.buffer // SAMPLES_PER_TWIN)
        buffer = TwinBuffer(self.samples, self.head, count, (self.config.seed << 20) + TWINS_SEED)
        for index in range(count):
            buffer.renew()
            self._tell("twins", index + 1, count, "pairs of pictures")
        return buffer

    def _due(self, step: int, fresh: int) -> bool:
        done = self.made - (self.config.samples - fresh)
        return done < fresh * (step + 1) / self.config.steps

    @torch.no_grad()
    def explained(self, changed: bool = False) -> float:
        """Share of the held-out features' variance that is explained, from plain or from changed pictures."""
        error, total = 0.0, 0.0
        held = self._changed if changed else self._held
        mean = torch.stack([y.float().mean((0, 2, 3)) for _, y in held]).mean(0)[None, :, None, None]
        for x, y in held:
            error += float((self.head.from_reduced(x.float()) - y.float()).square().sum())
            total += float((y.float() - mean).square().sum())
        return 1 - error / total


class _Moments:
    """Second moments of features, added up sample by sample."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0

    def add(self, features: Tensor) -> None:
        flat = features[0].flatten(1)
        self._sum = self._sum + (flat @ flat.t()).double() / flat.shape[1]

    def principal(self, count: int) -> tuple[Tensor, float]:
        """The first directions [C, count], and the share of the whole that they keep."""
        assert isinstance(self._sum, Tensor)
        values, vectors = torch.linalg.eigh(self._sum)
        count = min(count, len(values))
        return vectors.flip(1)[:, :count].float().contiguous(), float(values[-count:].sum() / values.sum())
