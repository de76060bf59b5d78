"""Multi-code composing (mGANprior, MGI): N codes, fused after L layers with adaptive channel importance.

The codes of all lanes of a batch go through the layers below L together, however many each lane has: nothing is padded,
so lanes of 10 and of 40 codes cost what they are worth.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mgi.config import Inversion
from mgi.generators import Generator, GeneratorError, fuse, is_tapped
from mgi.inversion.coarse import CoarseHead
from mgi.inversion.latents import Latents, Shapes, detached, stacked
from mgi.inversion.prior import LatentPrior
from mgi.inversion.spaces.base import draw, require_styles
from mgi.inversion.spaces.noise import NoiseMaps
from mgi.inversion.spread import usual_spread, with_spread
from mgi.pairs import Hypothesis

TAIL_SEED = 0x7A11
"""Makes another sample of a lane's seed than its codes are."""


class MultiCode:
    """Codes [N, D] and channel importance alpha [N, C] below L; styles [T, D] for the tail if there are styles.

    Args:
        generator: any generator.
        settings: of the inversion.
        prior: whitening of w for style-based generators; None for generators without styles.
        head: the coarse head, if the generator has one.
    """

    def __init__(
        self,
        generator: Generator,
        settings: Inversion,
        prior: LatentPrior | None = None,
        head: CoarseHead | None = None,
    ) -> None:
        self.generator, self.settings, self.prior, self.head = generator, settings, prior, head
        self.noise = NoiseMaps(generator, settings)
        self._spreads: dict[int, Tensor] = {}
        if settings.fused_spread:  # here and not at the first pass, which may be traced for compilation
            device = next(iter(generator.state_dict().values())).device
            for layer in sorted({hypothesis.composing_layer for hypothesis in settings.all_hypotheses()}):
                if 1 <= layer <= generator.layers:
                    self._usual_spread(layer, device)
        self._codes_in_z = settings.space == "multi-z" or prior is None
        self._mapping = require_styles(generator, "multi-z") if prior is not None and self._codes_in_z else None

    def shapes(self, hypothesis: Hypothesis) -> Shapes:
        """codes, alpha and tail; the tail has no rows if the generator has no styles."""
        layer, count = hypothesis.composing_layer, hypothesis.num_codes
        styles = self.generator.tail_styles(layer)
        tail = min(styles, 1) if self.settings.tail == "single" else styles
        dimension = self.generator.z_dim
        channels = self.generator.layer_channels(layer)
        groups = {"codes": (count, dimension), "alpha": (count, channels), "tail": (tail, dimension)}
        return groups | self.noise.shapes(layer)

    def start(self, hypothesis: Hypothesis, seed: int, device: str = "cpu") -> Latents:
        """Random codes (or near the mean), alpha at 1/N or 1, the tail at the mean style or at a sample's."""
        shapes, settings = self.shapes(hypothesis), self.settings
        codes = draw(*shapes["codes"], seed) * (1.0 if settings.start == "random" else settings.jitter)
        alpha = torch.full(shapes["alpha"], 1 / hypothesis.num_codes if settings.alpha_start == "1/N" else 1.0)
        return {
            "codes": codes.to(device),
            "alpha": alpha.to(device),
            "tail": self._tail(shapes["tail"], seed).to(device),
            **self.noise.start(seed, hypothesis.composing_layer, device),
        }

    def _tail(self, shape: tuple[int, int], seed: int) -> Tensor:
        if self.settings.tail_start == "mean" or not shape[0]:
            return torch.zeros(shape)
        one = draw(1, shape[1], seed ^ TAIL_SEED) * self.settings.tail_spread
        return one.expand(shape).clone()

    def images(self, lanes: Sequence[Latents], layer: int, down: int = 1, coarse: bool = False) -> Tensor:
        """y_n = F(z; W_I^n) of MGI equation 7: compose, then render the tail.

        Noise of the layers below the composition is the stored one.
        """
        features, styles = self.compose(lanes, layer)
        head, generator = self.head, self.generator
        if coarse and head is not None and styles is not None and layer <= head.layer and is_tapped(generator):
            middle = generator.tail_features(features, layer, styles, head.layer)
            return head(middle, styles if styles.ndim == 2 else styles[:, -1])
        return generator.render(features, layer, styles, down, noise=self.noise.maps(lanes, layer))

    def compose(self, lanes: Sequence[Latents], layer: int) -> tuple[Tensor, Tensor | None]:
        """Fused features [B, C, h, w] and the tail's styles ([B, D], [B, T, D] or None)."""
        counts = [len(latents["codes"]) for latents in lanes]
        codes = torch.cat([latents["codes"] for latents in lanes])
        features = self.generator.head(self._read(codes), layer)
        if len(set(counts)) == 1:
            alpha = stacked(lanes, "alpha").to(features.dtype)
            fused = fuse(features.unflatten(0, (len(lanes), counts[0])), alpha)
        else:
            alphas = [latents["alpha"].to(features.dtype) for latents in lanes]
            each = zip(features.split(counts), alphas, strict=True)
            fused = torch.cat([fuse(own[None], alpha[None]) for own, alpha in each])
        if self.settings.fused_spread:
            fused = with_spread(fused, self._usual_spread(layer, fused.device), self.settings.fused_spread)
        if self.prior is None:
            return fused, None
        styles = self.prior.to_w(stacked(lanes, "tail"))
        return fused, styles[:, 0] if styles.shape[1] == 1 else styles

    def _usual_spread(self, layer: int, device: torch.device) -> Tensor:
        if layer not in self._spreads:
            self._spreads[layer] = usual_spread(self.generator, layer, device)
        return self._spreads[layer]

    def _read(self, codes: Tensor) -> Tensor:
        """Codes [rows, D] as the generator's first layer reads them: z, or w if there are styles."""
        if self._mapping is not None:
            return self._mapping.to_w(codes)
        return codes if self.prior is None else self.prior.to_w(codes)

    def has_coarse(self, layer: int) -> bool:
        """Only below the head's own layer, which was fitted to the stored noise."""
        fits = self.head is not None and self.prior is not None and layer <= self.head.layer
        return fits and is_tapped(self.generator) and not self.noise.used

    def points(self, latents: Latents) -> Tensor:
        """The codes."""
        return latents["codes"]

    def retract(self, latents: Latents) -> None:
        """Codes may be anywhere; noise maps are normalised again."""
        self.noise.retract(latents)

    def warmed(self, latents: Latents, scout: Latents) -> Latents:
        """The scout's codes replace as many of the lane's own, and its styles those of the layers that both have."""
        warm = detached(latents)
        codes = min(len(warm["codes"]), len(scout["codes"]))
        warm["codes"][:codes] = scout["codes"][:codes]
        tail = min(len(warm["tail"]), len(scout["tail"]))
        if tail:
            warm["tail"][-tail:] = scout["tail"][-tail:]  # aligned at the image: tails differ by their first layers
        return warm

    def placed(self, latents: Latents, styles: Tensor) -> Latents:
        """Codes around the mean of the styles below the composition, the tail at its own; codes keep their spread."""
        if self.prior is None or self._codes_in_z:
            raise GeneratorError(f"{self.generator.name} has no w in this space to start at; use start = random")
        moved, v, rows = detached(latents), self.prior.to_v(styles), len(latents["tail"])
        below = len(v) - (len(v) if self.settings.tail == "single" else rows)
        moved["codes"] += v[: max(below, 1)].mean(0)
        moved["tail"] = v.mean(0, keepdim=True) if self.settings.tail == "single" else v[-rows:].clone()
        return moved

    def edited(self, latents: Latents, direction: Tensor, amount: float) -> Latents:
        """Every code and every style of the tail moves alike (mGANprior's semantic manipulation)."""
        moved, step = detached(latents), amount * direction.to(latents["codes"])
        if step.ndim > 1:  # one direction per style: codes decide the first layers, the tail the others
            tail = step[-len(moved["tail"]) :] if len(moved["tail"]) else step[:0]
            step = step[0]
        else:
            tail = step
        if self._codes_in_z:
            moved["codes"] += step
        elif self.prior is not None:
            moved["codes"] = self.prior.to_v(self.prior.to_w(moved["codes"]) + step)
        if self.prior is not None and len(moved["tail"]):
            moved["tail"] = self.prior.to_v(self.prior.to_w(moved["tail"]) + tail)
        return moved
