"""Online exemplar fine-tuning of the correspondence (Kang et al., OEFT section 3.2): the feature network learns on the
one pair that it is to match, nothing else, and is thrown away afterwards.

Each iteration warps the exemplar (equation 6) with the current weights, looks at the warp with W_T, and lowers equation
11: what the source shows at u should be told apart at u of the warp (contrastive), while the warp keeps the exemplar's
style (Gram, contextual; both by the network as it was). Departures from the paper, and why: docs/oeft.md.

Shapes: B pairs, V views of each (the pair as it is and, with augmentation, one changed copy), view by view: [V B, ...].
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mgi.config import OEFT_TERMS, Oeft, Warp
from mgi.correspondence.augment import geometric, photometric
from mgi.correspondence.branches import Branches, Side, Trunk
from mgi.correspondence.matching import check_pictures, hierarchical_features, warp_by, warp_exemplar
from mgi.features import VGG
from mgi.images import resize
from mgi.losses import contextual, gram_relative, info_nce

FINE_TUNED, RESTARTED, PLAIN = "oeft", "oeft, restarted", "plain, oeft failed"
"""How a pair's warp was made: at once, with the smaller step, or not by OEFT after all."""

RESTART = 0.25
"""The step of a pair whose loss stopped being finite, when it starts again, as a multiple of the configured one."""

_CONTEXT_SIZE = 32
"""Most rows and columns of features in the contextual loss, which compares all positions with all."""


class FineTuner:
    """Some pairs on their way: `step` as often as wanted, `warp` whenever wanted.

    Args:
        source, exemplar: [B, 3, S, S] in [-1, 1], S = config.image_size.
        backbone: the network that the copies start from.
        config: how to match and warp.
        settings: how to fine-tune.
        seeds: one per pair: everything random of a pair comes from its own.
        learning_rate: instead of the configured one.

    Raises:
        ValueError: pictures of another size. ConfigError: settings that this network cannot follow.
    """

    def __init__(
        self,
        source: Tensor,
        exemplar: Tensor,
        backbone: VGG,
        config: Warp,
        settings: Oeft,
        seeds: Sequence[int],
        learning_rate: float | None = None,
    ) -> None:
        check_pictures(source, exemplar, config)
        if len(seeds) != len(source):
            raise ValueError(f"expected one seed per pair, found {len(seeds)} for {len(source)} pairs")
        self._source, self._exemplar, self._config, self._settings = source, exemplar, config, settings
        self._randoms = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._frozen_layers = tuple(dict.fromkeys((*self._layers_of("perceptual"), *self._layers_of("context"))))
        self._net = Branches(
            backbone, config.layers, self._frozen_layers, settings.train_from, len(source), settings.shared
        )
        rate = settings.learning_rate if learning_rate is None else learning_rate
        self._adam = torch.optim.Adam(self._net.parameters(), lr=rate, betas=settings.betas, fused=True)
        self._small = [resize(images, settings.image_size) for images in (source, exemplar)]
        with torch.no_grad():  # what never changes: the pair's own frozen features
            self._trunks = [self._net.trunk(images) for images in self._small]
            self._targets = self._net.frozen_features(self._trunks[1])

    def step(self) -> Tensor:
        """One iteration -> `OEFT_TERMS` of every pair before it, [B, 4], the means over the views."""
        source_trunk, exemplar_trunk, exemplars, targets = self._views()
        source_unit = self._unit(source_trunk, "source")
        warp = warp_by(source_unit, self._unit(exemplar_trunk, "exemplar"), exemplars, self._config)
        warp_trunk = self._net.trunk(warp)
        terms = self._terms(source_unit, warp_trunk, targets)
        s = self._settings
        weights = (s.contrastive_weight, s.perceptual_weight, s.context_weight)
        total = sum((w * term for w, term in zip(weights, terms, strict=True) if w), start=warp.new_zeros(len(warp)))
        losses = torch.stack([*terms, total], dim=1).unflatten(0, (-1, self._net.pairs)).mean(0)
        self._adam.zero_grad()
        losses[:, -1].sum().backward()  # a sum: every pair moves as if it were alone
        self._adam.step()
        return losses.detach()

    @torch.no_grad()
    def warp(self) -> Tensor:
        """The warp by the weights as they are now, at full size: [B, 3, S, S]."""
        size = self._config.feature_size
        source_unit = self._unit(self._net.trunk(self._source), "source", size)
        target_unit = self._unit(self._net.trunk(self._exemplar), "exemplar", size)
        return warp_by(source_unit, target_unit, self._exemplar, self._config)

    def _views(self) -> tuple[Trunk, Trunk, Tensor, dict[str, Tensor]]:
        """Frozen features of source and exemplar, the exemplars, and what their style is; augmented views last."""
        (source, exemplar), (source_trunk, exemplar_trunk) = self._small, self._trunks
        if not self._settings.augment:
            return source_trunk, exemplar_trunk, exemplar, self._targets
        with torch.no_grad():
            other = geometric(exemplar, self._randoms)
            other_trunk = self._net.trunk(other)
            targets = self._net.frozen_features(other_trunk)
            source_trunk = source_trunk.joined(self._net.trunk(photometric(source, self._randoms)))
        joined = {layer: torch.cat([feature, targets[layer]]) for layer, feature in self._targets.items()}
        return source_trunk, exemplar_trunk.joined(other_trunk), torch.cat([exemplar, other]), joined

    def _terms(self, source_unit: Tensor, warp_trunk: Trunk, targets: dict[str, Tensor]) -> list[Tensor]:
        """The three losses, [V B] each."""
        s, off = self._settings, source_unit.new_full((len(source_unit),), float("nan"))
        contrastive = perceptual = context = off
        if s.contrastive_weight:
            warp_unit = self._unit(warp_trunk, "exemplar")
            contrastive = info_nce(source_unit, warp_unit, s.tau, self._positions(len(source_unit)))
        found = self._net.frozen_features(warp_trunk)
        if layers := self._layers_of("perceptual"):
            perceptual = gram_relative({x: found[x] for x in layers}, {x: targets[x] for x in layers})
        if layers := self._layers_of("context"):
            parts = [contextual(_few(found[x]), _few(targets[x]), s.context_band_width) for x in layers]
            context = torch.stack(parts).mean(0)
        return [contrastive, perceptual, context]

    def _layers_of(self, loss: str) -> tuple[str, ...]:
        """Layers of a loss of the frozen network; none where its weight is 0."""
        layers: tuple[str, ...] = getattr(self._settings, f"{loss}_layers")
        return layers if getattr(self._settings, f"{loss}_weight") else ()

    def _unit(self, trunk: Trunk, side: Side, size: int | None = None) -> Tensor:
        """Hierarchical features by a side's weights, [V B, C, size, size]."""
        features = self._net.features(trunk, side)
        return hierarchical_features(features, size or self._settings.feature_size, self._config.centre)

    def _positions(self, batch: int) -> Tensor | None:
        """Anchors [V B, K] of this iteration, or None for all of them."""
        count = self._settings.feature_size**2
        if self._settings.positions >= count:
            return None
        views = batch // self._net.pairs
        drawn = [
            torch.stack([torch.randperm(count, generator=random)[: self._settings.positions] for _ in range(views)])
            for random in self._randoms
        ]
        return torch.stack(drawn, dim=1).flatten(0, 1).to(self._source.device)


@dataclass(frozen=True)
class FineTunedWarp:
    """What is kept of fine-tuning some pairs.

    `warp` [B, 3, S, S] in [-1, 1]; `losses` [B, iterations, 4], float32 on the CPU: `OEFT_TERMS` per iteration, NaN
    after the loss stopped being finite; `how`: `FINE_TUNED`, `RESTARTED` or `PLAIN` per pair; `seconds` for all pairs.
    """

    warp: Tensor
    losses: Tensor
    how: list[str]
    seconds: float


def fine_tuned_warp(
    source: Tensor,
    exemplar: Tensor,
    backbone: VGG,
    config: Warp,
    settings: Oeft,
    seeds: Sequence[int],
    progress: Callable[[int, int, float], None] | None = None,
) -> FineTunedWarp:
    """Fine-tune on every pair by itself, and warp. Arguments as `FineTuner`; pairs share the work, not the result.

    A pair whose loss or warp is not finite starts once more with a quarter of the step and then keeps the plain warp.
    """
    began = time.perf_counter()
    rate, everything = settings.learning_rate, list(range(len(source)))
    warp, losses, good = source.new_empty(source.shape), torch.empty(0), torch.zeros(len(source), dtype=torch.bool)
    losses = torch.full((len(source), settings.iterations, len(OEFT_TERMS)), float("nan"))
    how = [PLAIN] * len(source)
    for attempt, factor in ((FINE_TUNED, 1.0), (RESTARTED, RESTART)):
        left = [i for i in everything if not good[i]]
        if not left:
            break
        tuner = FineTuner(
            source[left], exemplar[left], backbone, config, settings, [seeds[i] for i in left], factor * rate
        )
        warp[left], losses[left], good[left] = _run(tuner, settings.iterations, progress)
        how = [attempt if i in left and good[i] else how[i] for i in everything]
    failed = [i for i in everything if not good[i]]
    if failed:
        warp[failed] = warp_exemplar(source[failed], exemplar[failed], backbone, config)
    return FineTunedWarp(warp, losses, how, time.perf_counter() - began)


def _run(
    tuner: FineTuner, iterations: int, progress: Callable[[int, int, float], None] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """All iterations -> warps, losses [B, iterations, 4], and which pairs stayed finite [B]; stops when none is."""
    curves = []
    for number in range(iterations):
        losses = tuner.step().cpu()
        curves.append(losses)
        if not torch.isfinite(losses[:, -1]).any():
            break
        if progress:
            progress(number + 1, iterations, float(losses[:, -1].nanmean()))
    curve = torch.stack(curves, dim=1)
    warp = tuner.warp()
    good = torch.isfinite(curve[:, :, -1]).all(1) & torch.isfinite(warp).flatten(1).all(1).cpu()
    missing = curve.new_full((len(curve), iterations - curve.shape[1], len(OEFT_TERMS)), float("nan"))
    return warp, torch.cat([curve, missing], dim=1), good


def _few(features: Tensor) -> Tensor:
    """Features at no more than `_CONTEXT_SIZE` rows and columns."""
    return resize(features, min(_CONTEXT_SIZE, features.shape[-1]), "area")
