"""The spaces of one code: Z, W, W+ and the sphere.

All of them are one code composed at layer 1, written as styles: the first layer's style and one for each that the tail
reads. So the tail's shortcuts (means of the image, coarse heads) serve them as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import Inversion
from mgi.generators import Generator, GeneratorError, StyledGenerator, is_styled, is_tapped
from mgi.images import down as average
from mgi.inversion.coarse import CoarseHead
from mgi.inversion.latents import Latents, Shapes, detached, stacked
from mgi.inversion.prior import LatentPrior
from mgi.inversion.spaces.base import draw, require_styles, statistics_of_w
from mgi.inversion.spaces.noise import NoiseMaps
from mgi.pairs import Hypothesis


class SingleCode:
    """Base of the spaces whose codes are [rows, D]."""

    prior: LatentPrior | None = None

    def __init__(self, generator: Generator, settings: Inversion, head: CoarseHead | None = None) -> None:
        self.generator, self.settings, self.head = generator, settings, head
        self.noise = NoiseMaps(generator, settings)

    def shapes(self, hypothesis: Hypothesis) -> Shapes:
        """codes, and noise maps if they are the lane's own."""
        return {"codes": (self._rows(), self.generator.z_dim), **self.noise.shapes(0)}

    def start(self, hypothesis: Hypothesis, seed: int, device: str = "cpu") -> Latents:
        """The codes of `_start`, and noise from the lane's seed."""
        return {"codes": self._start(seed, device), **self.noise.start(seed, 0, device)}

    def images(self, lanes: Sequence[Latents], layer: int, down: int = 1, coarse: bool = False) -> Tensor:
        """The whole synthesis; `layer` has no meaning here."""
        codes, generator = stacked(lanes, "codes"), self.generator
        if not is_styled(generator):
            return average(generator(codes[:, 0]), down)
        w, noise = self._styles(codes, generator), self.noise.maps(lanes, 0)
        features = generator.head(w[:, 0], 1, noise)
        tail = w[:, 0] if w.shape[1] == 1 else w[:, -generator.tail_styles(1) :]
        if coarse and self.head is not None and is_tapped(generator):
            middle = generator.tail_features(features, 1, tail, self.head.layer)
            return self.head(middle, w[:, -1])
        return generator.render(features, 1, tail, down, noise=noise)

    def has_coarse(self, layer: int) -> bool:
        """If there is a head, which was fitted to the stored noise."""
        return self.head is not None and is_tapped(self.generator) and not self.noise.used

    def points(self, latents: Latents) -> Tensor:
        """The codes."""
        return latents["codes"]

    def placed(self, latents: Latents, styles: Tensor) -> Latents:
        """Only spaces of w can."""
        raise GeneratorError(f"{self.generator.name} has no w in this space to start at; use start = random")

    def retract(self, latents: Latents) -> None:
        """Codes may be anywhere; noise maps are normalised again."""
        self.noise.retract(latents)

    def warmed(self, latents: Latents, scout: Latents) -> Latents:
        """The lane's own start: hypotheses do not differ here, so starting from another one would only make copies."""
        return latents

    def edited(self, latents: Latents, direction: Tensor, amount: float) -> Latents:
        """Moved in the space itself."""
        moved, step = detached(latents), amount * direction.to(latents["codes"])
        moved["codes"] = moved["codes"] + step[-len(moved["codes"]) :] if step.ndim > 1 else moved["codes"] + step
        return moved

    def _styles(self, codes: Tensor, generator: StyledGenerator) -> Tensor:
        """Codes [B, rows, D] -> w [B, rows, D]."""
        raise NotImplementedError

    def _start(self, seed: int, device: str) -> Tensor:
        """Where the codes [rows, D] start."""
        raise NotImplementedError

    def _rows(self) -> int:
        """Rows of `codes`."""
        return 1


class Z(SingleCode):
    """z ~ N(0, I), through the mapping network if there is one."""

    def _start(self, seed: int, device: str) -> Tensor:
        scale = 1.0 if self.settings.start == "random" else self.settings.jitter
        return (scale * draw(1, self.generator.z_dim, seed)).to(device)

    def _styles(self, codes: Tensor, generator: StyledGenerator) -> Tensor:
        return generator.to_w(codes)

    def edited(self, latents: Latents, direction: Tensor, amount: float) -> Latents:
        """Moved in z."""
        return super().edited(latents, direction if direction.ndim == 1 else direction[0], amount)


class W(SingleCode):
    """One w for all layers, from the mean of w or from a random one."""

    generator: StyledGenerator

    def __init__(self, generator: Generator, settings: Inversion, head: CoarseHead | None = None) -> None:
        super().__init__(generator, settings, head)
        self.generator = require_styles(generator, settings.space)

    def _start(self, seed: int, device: str) -> Tensor:
        rows, dimension = self._rows(), self.generator.z_dim
        if self.settings.start == "random":
            with torch.no_grad():
                w = self.generator.to_w(draw(1, dimension, seed).to(device))
        else:
            w = self.statistics(device)[0][None]
        return w.expand(rows, -1).clone()

    def placed(self, latents: Latents, styles: Tensor) -> Latents:
        """The styles, or their mean."""
        moved = detached(latents)
        moved["codes"] = styles.clone() if self._rows() > 1 else styles.mean(0, keepdim=True)
        return moved

    def statistics(self, device: str) -> tuple[Tensor, float]:
        """Mean [D] and spread of w, measured once."""
        if not hasattr(self, "_statistics"):
            self._statistics = statistics_of_w(self.generator, device)
        return self._statistics

    def _styles(self, codes: Tensor, generator: StyledGenerator) -> Tensor:
        return codes


class WPlus(W):
    """One w for every style that the synthesis reads (Image2StyleGAN)."""

    def _rows(self) -> int:
        return self.generator.styles


class Sphere(SingleCode):
    """Points on the sphere of radius sqrt(D), where nearly all of N(0, I) lies (PULSE).

    Style-based generators have one point per style, brought to w by the generator's own prior; others have one z.
    """

    def __init__(
        self,
        generator: Generator,
        settings: Inversion,
        head: CoarseHead | None = None,
        to_w: LatentPrior | None = None,
    ) -> None:
        super().__init__(generator, settings, head)
        self._to_w = to_w.diagonal() if to_w is not None and settings.sphere_fit == "diagonal" else to_w

    def _rows(self) -> int:
        return self.generator.styles if self._to_w is not None and is_styled(self.generator) else 1

    def _start(self, seed: int, device: str) -> Tensor:
        # One random point for all styles is a sample of the generator's own.
        points = 1 if self.settings.sphere_start == "one" else self._rows()
        codes = draw(points, self.generator.z_dim, seed).expand(self._rows(), -1).clone().to(device)
        return self._on_sphere(codes)

    def points(self, latents: Latents) -> Tensor:
        """w as the synthesis reads it, or the points of the sphere (`geodesic_on`)."""
        codes = latents["codes"]
        return codes if self._to_w is None or self.settings.geodesic_on == "sphere" else self._to_w.to_w(codes)

    def retract(self, latents: Latents) -> None:
        """Every point back to radius sqrt(D)."""
        super().retract(latents)
        with torch.no_grad():
            latents["codes"].copy_(self._on_sphere(latents["codes"]))

    @staticmethod
    def _on_sphere(codes: Tensor) -> Tensor:
        return F.normalize(codes, dim=1) * math.sqrt(codes.shape[1])

    def edited(self, latents: Latents, direction: Tensor, amount: float) -> Latents:
        """Moved in w if there are styles, and not projected back to the sphere: a direction leaves it on purpose."""
        if self._to_w is None:
            return super().edited(latents, direction if direction.ndim == 1 else direction[0], amount)
        moved = detached(latents)
        step = amount * direction.to(moved["codes"])
        step = step[-len(moved["codes"]) :] if step.ndim > 1 else step
        moved["codes"] = self._to_w.to_v(self._to_w.to_w(moved["codes"]) + step)
        return moved

    def _styles(self, codes: Tensor, generator: StyledGenerator) -> Tensor:
        assert self._to_w is not None
        return self._to_w.to_w(codes)
