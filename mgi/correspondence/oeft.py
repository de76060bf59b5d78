"""Online exemplar fine-tuning of the correspondence (Kang et al., OEFT section 3.2).

The feature network learns on the one pair that it will match, on nothing else, and is thrown away afterwards.

Each iteration warps the exemplar (equation 6) with the current weights, looks at the warp with W_T, and lowers equation
11: the source's feature at u should find the warp's feature at u among all others (contrastive), while the warp keeps
the exemplar's style (Gram, contextual; both by the original network). docs/oeft.md lists the departures from the paper
and the reasons; the papers' profiles undo some of them by their settings.

Shapes: B pairs, V views of each (the pair as it is and, with augmentation, one changed copy), view by view: [V B, ...].
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mgi.config import OEFT_TERMS, ConfigError, Oeft, Warp
from mgi.correspondence.augment import geometric, photometric
from mgi.correspondence.branches import Branches, Trunk
from mgi.correspondence.matching import check_pictures, concatenated, plain_units, unit_features, warp_by
from mgi.correspondence.regularization import cycle
from mgi.correspondence.style import Style
from mgi.features import Backbone, Chain
from mgi.images import resize
from mgi.losses import info_nce, info_nce_literal

FINE_TUNED, RESTARTED, PLAIN = "oeft", "oeft, restarted", "plain, oeft failed"
"""How a pair's warp was made: at the first try, with the smaller step, or without OEFT in the end."""

RESTART = 0.25
"""A pair whose loss stopped being finite starts again with this multiple of the configured step size."""

TOTAL = OEFT_TERMS.index("total")
"""The column of the loss that is minimised."""


class FineTuner:
    """Fine-tunes some pairs: call `step` as often as you like and `warp` at any time.

    Args:
        source, exemplar: [B, 3, S, S] in [-1, 1], S = config.image_size.
        backbone: the network that the copies start from.
        config: how to match and warp.
        settings: how to fine-tune.
        seeds: one per pair, for everything random about that pair.
        learning_rate: instead of the configured one.
        style: phi of the style losses, if `settings.style_backbone` names a network other than the backbone.

    Raises:
        ValueError: pictures of another size.
        ConfigError: settings that do not fit this network.
        FeatureError: a layer that a network lacks.
    """

    def __init__(
        self,
        source: Tensor,
        exemplar: Tensor,
        backbone: Chain,
        config: Warp,
        settings: Oeft,
        seeds: Sequence[int],
        learning_rate: float | None = None,
        style: Backbone | None = None,
    ) -> None:
        check_pictures(source, exemplar, config)
        if len(seeds) != len(source):
            raise ValueError(f"expected one seed per pair, found {len(seeds)} for {len(source)} pairs")
        self._source, self._exemplar, self._config, self._settings = source, exemplar, config, settings
        self._randoms = [torch.Generator().manual_seed(seed) for seed in seeds]
        if style is None and settings.style_backbone not in ("warp", backbone.name):
            raise ConfigError(f"oeft.style_backbone = {settings.style_backbone} was not loaded; pass it as `style`")
        self._scale = backbone.unit
        self._phi = None if style is backbone else style
        self._style = Style(settings, len(source), self._scale if self._phi is None else self._phi.unit)
        frozen_layers = self._style.layers if self._phi is None else ()
        self._net = Branches(backbone, config.layers, frozen_layers, settings.train_from, len(source), settings.shared)
        rate = settings.learning_rate if learning_rate is None else learning_rate
        self._adam = torch.optim.Adam(self._net.parameters(), lr=rate, betas=settings.betas, fused=True)
        self._small = [resize(images, settings.image_size) for images in (source, exemplar)]
        with torch.no_grad():  # this never changes: the pair's own frozen features
            self._trunks = [self._net.trunk(images) for images in self._small]
            self._targets = self._seen(self._small[1], self._trunks[1])

    def step(self) -> Tensor:
        """One step of Adam on equation 11 -> `Oeft.terms` of every pair before it, [B, T], the means over the views."""
        source_trunk, exemplar_trunk, exemplars, targets = self._views()
        source, target = self._net.features(source_trunk, "source"), self._net.features(exemplar_trunk, "exemplar")
        source_unit, target_unit = self._unit(source), self._unit(target)
        warp = warp_by(source_unit, target_unit, exemplars, self._config)
        warp_trunk, s = self._net.trunk(warp), self._settings
        found = self._seen(warp, warp_trunk)
        contrastive = self._contrastive(source, source_unit, warp_trunk) if s.contrastive_weight else None
        perceptual, context = self._style.perceptual(found, targets), self._style.context(found, targets)
        terms = [
            (s.contrastive_weight, contrastive),
            (s.perceptual_weight, perceptual),
            (s.context_weight, context),
            (s.regularization_weight, self._regularization(source_unit, target_unit, exemplars)),
        ]
        total = sum((weight * term for weight, term in terms if term is not None), start=warp.new_zeros(len(warp)))
        off = torch.full_like(total, float("nan"))
        columns = [off if term is None else term for _, term in terms]
        columns.insert(TOTAL, total)
        losses = torch.stack(columns[: len(s.terms())], dim=1).unflatten(0, (-1, self._net.pairs)).mean(0)
        self._adam.zero_grad()
        losses[:, TOTAL].sum().backward()  # a sum, so every pair moves as if it were alone
        self._adam.step()
        return losses.detach()

    @torch.no_grad()
    def warp(self) -> Tensor:
        """The warp with the present weights, at full size: [B, 3, S, S]."""
        return self.warp_of(self.units())

    def warp_of(self, units: tuple[Tensor, Tensor]) -> Tensor:
        """The warp by what `units` returned."""
        return warp_by(*units, self._exemplar, self._config)

    @torch.no_grad()
    def units(self) -> tuple[Tensor, Tensor]:
        """What is matched with the present weights, of sources and exemplars: [B, C, size, size] each."""
        size = self._config.feature_size
        source = self._unit(self._net.features(self._net.trunk(self._source), "source"), size)
        return source, self._unit(self._net.features(self._net.trunk(self._exemplar), "exemplar"), size)

    def _views(self) -> tuple[Trunk, Trunk, Tensor, dict[str, Tensor]]:
        """Frozen features of source and exemplar, the exemplars and their style; augmented views come last."""
        (source, exemplar), (source_trunk, exemplar_trunk) = self._small, self._trunks
        if not self._settings.augment:
            return source_trunk, exemplar_trunk, exemplar, self._targets
        with torch.no_grad():
            other = geometric(exemplar, self._randoms)
            other_trunk = self._net.trunk(other)
            targets = self._seen(other, other_trunk)
            source_trunk = source_trunk.joined(self._net.trunk(photometric(source, self._randoms)))
        joined = {layer: torch.cat([feature, targets[layer]]) for layer, feature in self._targets.items()}
        return source_trunk, exemplar_trunk.joined(other_trunk), torch.cat([exemplar, other]), joined

    def _seen(self, images: Tensor, trunk: Trunk) -> dict[str, Tensor]:
        """phi of images: the layers of the style losses, {layer: [V B, C, h, w]}; shares the trunk where it can."""
        if self._phi is None or not self._style.layers:
            return self._net.frozen_features(trunk)
        return self._phi(images, self._style.layers)

    def _contrastive(self, source: list[Tensor], source_unit: Tensor, warp_trunk: Trunk) -> Tensor:
        """L_cont, [V B]: the source's features against those that W_T finds in the warp."""
        s, warp = self._settings, self._net.features(warp_trunk, "exemplar")
        if s.contrastive_features == "unit":
            anchors, positives = source_unit, self._unit(warp)
        else:
            anchors, positives = (concatenated(x, s.feature_size) / self._scale for x in (source, warp))
        loss = info_nce_literal if s.contrastive_form == "literal" else info_nce
        return loss(anchors, positives, s.tau, self._positions(len(anchors)))

    def _regularization(self, source_unit: Tensor, target_unit: Tensor, exemplars: Tensor) -> Tensor | None:
        """The term that `oeft.regularization` names, [V B]."""
        kind = self._settings.regularization
        if kind == "cycle":
            return cycle(source_unit, target_unit, exemplars, self._config)
        if kind == "weights":
            return self._net.drift().repeat(len(exemplars) // self._net.pairs)
        return None

    def _unit(self, pyramid: list[Tensor], size: int | None = None) -> Tensor:
        """Hierarchical features, [V B, C, size, size]."""
        return unit_features(pyramid, size or self._settings.feature_size, self._config)

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
    """What is kept after fine-tuning some pairs.

    `warp` [B, 3, S, S] in [-1, 1] by equation 6; `units`: what was matched, of sources and exemplars, [B, C, h, w]
    each; `losses` [B, iterations, T], float32 on the CPU: `Oeft.terms` per iteration, NaN
    after the loss stopped being finite; `how`: `FINE_TUNED`, `RESTARTED` or `PLAIN` per pair; `seconds` for all pairs.
    """

    warp: Tensor
    units: tuple[Tensor, Tensor]
    losses: Tensor
    how: list[str]
    seconds: float


def fine_tuned_warp(
    source: Tensor,
    exemplar: Tensor,
    backbone: Chain,
    config: Warp,
    settings: Oeft,
    seeds: Sequence[int],
    progress: Callable[[int, int, float], None] | None = None,
    style: Backbone | None = None,
) -> FineTunedWarp:
    """Fine-tune on every pair by itself, then warp. Arguments as for `FineTuner`.

    Pairs share passes, but no pair changes another's result. A pair whose loss or warp is not finite starts again with
    a quarter of the step. If that fails as well, it keeps the plain warp.
    """
    began = time.perf_counter()
    rate, everything = settings.learning_rate, list(range(len(source)))
    warp, good = source.new_empty(source.shape), torch.zeros(len(source), dtype=torch.bool)
    losses = torch.full((len(source), settings.iterations, len(settings.terms())), float("nan"))
    how = [PLAIN] * len(source)
    units: list[list[Tensor]] = [[] for _ in how]
    for attempt, factor in ((FINE_TUNED, 1.0), (RESTARTED, RESTART)):
        left = [i for i in everything if not good[i]]
        if not left:
            break
        tuner = FineTuner(
            source[left], exemplar[left], backbone, config, settings, [seeds[i] for i in left], factor * rate, style
        )
        found, warp[left], losses[left], good[left] = _run(tuner, settings.iterations, progress)
        for i, *each in zip(left, *(unit.split(1) for unit in found), strict=True):
            units[i] = each
        how = [attempt if i in left and good[i] else how[i] for i in everything]
    for i in everything:
        if not good[i]:
            units[i] = [plain_units(images[i : i + 1], backbone, config) for images in (source, exemplar)]
            warp[i : i + 1] = warp_by(units[i][0], units[i][1], exemplar[i : i + 1], config)
    matched = torch.cat([unit[0] for unit in units]), torch.cat([unit[1] for unit in units])
    return FineTunedWarp(warp, matched, losses, how, time.perf_counter() - began)


def _run(
    tuner: FineTuner, iterations: int, progress: Callable[[int, int, float], None] | None
) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor, Tensor]:
    """All iterations -> what is matched then, warps, losses [B, iterations, T], and which pairs stayed finite [B].

    Stops if none is left.
    """
    curves = []
    for number in range(iterations):
        losses = tuner.step().cpu()
        curves.append(losses)
        if not torch.isfinite(losses[:, TOTAL]).any():
            break
        if progress:
            progress(number + 1, iterations, float(losses[:, TOTAL].nanmean()))
    curve = torch.stack(curves, dim=1)
    units = tuner.units()
    warp = tuner.warp_of(units)
    good = torch.isfinite(curve[:, :, TOTAL]).all(1) & torch.isfinite(warp).flatten(1).all(1).cpu()
    missing = curve.new_full((len(curve), iterations - curve.shape[1], curve.shape[2]), float("nan"))
    return units, warp, torch.cat([curve, missing], dim=1), good
