"""Against what: D(degrade(down(y)), r) of MGI equation 7, per lane, with everything of the targets computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import Inversion
from mgi.degradations import Degradation
from mgi.features import Backbone
from mgi.images import resize
from mgi.inversion.latents import Latents
from mgi.inversion.spaces.noise import noise_groups
from mgi.losses import detail_shortfall, geodesic_cross, l1, l2, noise_autocorrelation, perceptual

SMALLEST = 64
"""Pictures with fewer rows are enlarged before the feature network; otherwise its deeper layers would see next to
nothing."""


class Objective:
    """D(down(y_n), r) of MGI equation 7: distance of degraded results to the observations, one number per lane.

    Args:
        targets: observations [P, 3, S, S] in [-1, 1], one per picture; smaller than the results under `down`.
        settings: weights, layers and norms.
        backbone: the perceptual network; None if perceptual_weight is 0.
        degradation: the operator that made the observations; None: none.
        points: the rows [rows, D] of a lane that the geodesic loss compares; None: its codes.
        weights: how much places count, [P, 1, g, g] with a mean of 1; None: all alike. A place's weight multiplies its
            squared or absolute differences, of pixels and of features.
        goals: how strong the bands of results should be at least, by their rows (`losses.detail_shortfall`).
    """

    def __init__(
        self,
        targets: Tensor,
        settings: Inversion,
        backbone: Backbone | None,
        degradation: Degradation | None = None,
        points: Callable[[Latents], Tensor] | None = None,
        weights: Tensor | None = None,
        goals: Mapping[int, float] | None = None,
    ) -> None:
        self.settings, self._goals = settings, goals or {}
        self._points = points or _codes
        self._backbone, self._degradation = backbone, degradation
        self._largest = targets.shape[-1]
        self._targets = {self._largest: targets}
        self._features: dict[int, dict[str, Tensor]] = {}
        self._weights = {} if weights is None else {weights.shape[-1]: weights}

    def __call__(
        self,
        images: Tensor,
        lanes: Sequence[Latents],
        pictures: Sequence[int] | None = None,
        anchors: Sequence[Tensor | None] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss [B] and its parts by name, each [B].

        Args:
            images: [B, 3, s, s]; s divides S, or S divides s.
            lanes: what they are the images of.
            pictures: for each image, the row of its target; None: image i belongs to target i.
            anchors: where the prior pulls each lane's tail to; None: to the mean.
        """
        s = self.settings
        rows, whole = self._rows(pictures, len(images)), images
        if self._degradation is not None:
            images = self._degradation(images, rows)
        images = _reduce(images, min(self._largest, images.shape[-1]))
        target = self._pick(self._target(images.shape[-1]), rows)
        unit = s.pixel_range == "unit"
        parts = {
            "l2": (l2(*self._weighed(images, target, rows, 0.5)) * (0.25 if unit else 1.0)).clamp(min=s.pixel_floor)
        }
        loss = s.pixel_weight * parts["l2"]
        if s.l1_weight:
            parts["l1"] = l1(*self._weighed(images, target, rows, 1.0)) * (0.5 if unit else 1.0)
            loss = loss + s.l1_weight * parts["l1"]
        if s.perceptual_weight and self._backbone is not None:
            parts["perceptual"] = self.perceptual(images, rows)
            loss = loss + s.perceptual_weight * parts["perceptual"]
        if s.detail_weight and self._goals:
            parts["detail"] = detail_shortfall(whole, self._goals)
            loss = loss + s.detail_weight * parts["detail"]
        if s.prior_weight:
            towards = anchors or [None] * len(lanes)
            both = zip(lanes, towards, strict=True)
            parts["prior"] = torch.stack([_mean_square(latents, anchor) for latents, anchor in both])
            loss = loss + s.prior_weight * parts["prior"]
        if s.geodesic_weight:
            parts["geodesic"] = torch.stack([geodesic_cross(self._points(latents)) for latents in lanes])
            loss = loss + s.geodesic_weight * parts["geodesic"]
        if s.noise_weight:
            parts["noise"] = torch.stack([noise_autocorrelation(noise_groups(latents)) for latents in lanes])
            loss = loss + s.noise_weight * parts["noise"].to(loss)
        return loss, parts

    def perceptual(self, images: Tensor, pictures: Sequence[int] | None = None) -> Tensor:
        """The perceptual distance [B] of observed images in the configured norm."""
        s = self.settings
        assert self._backbone is not None
        features = self._backbone(self._seen(images), s.perceptual_layers)
        key = images.shape[-1]
        if key not in self._features:
            with torch.no_grad():  # each by itself: in a batch, the last bits would depend on the other pictures
                each = [self._backbone(one, s.perceptual_layers) for one in self._seen(self._target(key)).split(1)]
            self._features[key] = {name: torch.cat([found[name] for found in each]) for name in each[0]}
        rows = self._rows(pictures, len(images))
        target_features = {name: self._pick(feature, rows) for name, feature in self._features[key].items()}
        if self._weights:
            power = 0.5 if s.perceptual_norm == "mse" else 1.0  # the others are sums of absolute differences
            both = {name: self._weighed(x, target_features[name], rows, power) for name, x in features.items()}
            features, target_features = ({name: pair[side] for name, pair in both.items()} for side in (0, 1))
        heads = getattr(self._backbone, "heads", None)
        return perceptual(features, target_features, s.perceptual_norm, self._backbone.unit, heads)

    def _weighed(self, x: Tensor, y: Tensor, rows: list[int] | None, power: float) -> tuple[Tensor, Tensor]:
        """Both times the places' weights to a power, so that distances of differences come out weighted."""
        if not self._weights:
            return x, y
        size = x.shape[-1]
        if size not in self._weights:
            self._weights[size] = resize(next(iter(self._weights.values())), size)
        weights = self._pick(self._weights[size], rows) ** power
        return x * weights, y * weights

    def _seen(self, images: Tensor) -> Tensor:
        """Images at the size that the feature network gets."""
        size = self.settings.perceptual_size
        if self.settings.perceptual_resize == "nearest":
            return images if images.shape[-1] == size else F.interpolate(images, size=(size, size), mode="nearest")
        return _at_least(_reduce(images, min(images.shape[-1], size)))

    def _rows(self, pictures: Sequence[int] | None, count: int) -> list[int] | None:
        """None where image i belongs to target i."""
        if pictures is None or list(pictures) == list(range(len(self._targets[self._largest]))):
            return None
        return list(pictures)

    @staticmethod
    def _pick(values: Tensor, rows: list[int] | None) -> Tensor:
        """Rows of the targets' values; a picture shared by all lanes is broadcast instead of copied."""
        if rows is None:
            return values
        if len(set(rows)) == 1:
            return values[rows[0] : rows[0] + 1]
        return values[rows]

    def _target(self, size: int) -> Tensor:
        if size not in self._targets:
            self._targets[size] = _reduce(self._targets[self._largest], size)
        return self._targets[size]


def _codes(latents: Latents) -> Tensor:
    return latents["codes"]


def _mean_square(latents: Latents, anchor: Tensor | None = None) -> Tensor:
    """Of codes and tail together, in units of the prior: 1 for samples of the generator.

    Args:
        anchor: where the tail is pulled to, as `latents["tail"]`; None: the mean.
    """
    squares = [latents["codes"].square().mean(1)] if "codes" in latents else []
    if "tail" in latents:
        tail = latents["tail"] if anchor is None else latents["tail"] - anchor
        squares.append(tail.square().mean(1))
    return torch.cat(squares).mean()


def _reduce(images: Tensor, size: int) -> Tensor:
    side = images.shape[-1]
    if side == size:
        return images
    if side % size:
        raise ValueError(f"cannot compare at {size} pixels: {side} is not a multiple of it")
    return F.avg_pool2d(images, side // size)


def _at_least(images: Tensor) -> Tensor:
    if images.shape[-1] >= SMALLEST:
        return images
    return F.interpolate(images, size=(SMALLEST, SMALLEST), mode="nearest")
