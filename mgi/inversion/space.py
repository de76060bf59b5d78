"""What is optimised: codes, their channel importance, and the styles of the tail (style-based generators)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mgi.config import Inversion
from mgi.generators.base import Generator
from mgi.inversion.coarse import CoarseHead
from mgi.inversion.prior import LatentPrior
from mgi.pairs import Hypothesis


@dataclass
class Latents:
    """B lanes of one hypothesis: codes [B,N,D] in prior units, alpha [B,N,C], tail [B,T,D] (T = 0 without styles)."""

    codes: Tensor
    alpha: Tensor
    tail: Tensor

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.codes, self.alpha, self.tail

    def clone(self) -> Latents:
        """A detached copy."""
        return Latents(*(t.detach().clone() for t in self.tensors()))

    def pack(self) -> Tensor:
        """One float32 row per lane: [B, N D + N C + T D]."""
        return torch.cat([t.detach().flatten(1).float() for t in self.tensors()], dim=1)


class LatentSpace:
    """How one generator's latents are parametrised, started, composed and rendered.

    Args:
        generator: any `Generator`.
        prior: whitening of w for style-based generators; None optimises z, whose prior is N(0, I) already.
        head: the coarse head, where the generator has one.
    """

    def __init__(
        self,
        generator: Generator,
        prior: LatentPrior | None = None,
        head: CoarseHead | None = None,
    ) -> None:
        self.generator, self.prior, self.head = generator, prior, head

    def shapes(self, hypothesis: Hypothesis, settings: Inversion) -> tuple[tuple[int, int], ...]:
        """Shapes of codes, alpha and tail of one lane."""
        layer, count = hypothesis.composing_layer, hypothesis.num_codes
        styles = self.generator.tail_styles(layer)
        tail = min(styles, 1) if settings.tail == "single" else styles
        dimension = self.generator.z_dim
        return (count, dimension), (count, self.generator.layer_channels(layer)), (tail, dimension)

    def size(self, hypothesis: Hypothesis, settings: Inversion) -> int:
        """Numbers in one packed lane."""
        return sum(rows * columns for rows, columns in self.shapes(hypothesis, settings))

    def start(self, hypothesis: Hypothesis, settings: Inversion, seeds: list[int], device: str = "cpu") -> Latents:
        """Where the optimisation begins; each lane draws from its own seed, on the CPU, so no batch changes it."""
        (count, dimension), (_, channels), (styles, _) = self.shapes(hypothesis, settings)
        noise = torch.stack(
            [torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        ).to(device)
        codes = noise if settings.start == "random" else settings.jitter * noise
        alpha = torch.full((len(seeds), count, channels), 1 / count if settings.alpha_start == "1/N" else 1.0)
        tail = torch.zeros(len(seeds), styles, dimension, device=device)  # the mean style
        return Latents(codes, alpha.to(device), tail)

    def unpack(self, packed: Tensor, hypothesis: Hypothesis, settings: Inversion) -> Latents:
        """The inverse of `Latents.pack`: [B, size] -> latents."""
        shapes = self.shapes(hypothesis, settings)
        parts = packed.split([rows * columns for rows, columns in shapes], dim=1)
        return Latents(*(part.reshape(packed.shape[0], *shape) for part, shape in zip(parts, shapes, strict=True)))

    def compose(self, latents: Latents, layer: int) -> tuple[Tensor, Tensor | None]:
        """Fused features [B,C,h,w] and the tail's styles ([B,D], [B,T,D] or None)."""
        if self.prior is None:
            return self.generator.compose(latents.codes, latents.alpha, layer), None
        features = self.generator.compose(self.prior.to_w(latents.codes), latents.alpha, layer, space="w")
        styles = self.prior.to_w(latents.tail)
        return features, styles[:, 0] if styles.shape[1] == 1 else styles

    def images(self, latents: Latents, layer: int, down: int, coarse: bool = False) -> Tensor:
        """Images [B,3,R/down,R/down], through the coarse head (at its own resolution) if asked and possible."""
        features, styles = self.compose(latents, layer)
        if coarse and self.head is not None and styles is not None and layer <= self.head.layer:
            middle = self.generator.tail_features(features, layer, styles, self.head.layer)  # type: ignore[attr-defined]
            return self.head(middle, styles if styles.ndim == 2 else styles[:, -1])
        return self.generator.render(features, layer, styles, down)

    def has_coarse(self, layer: int) -> bool:
        """Whether `images(..., coarse=True)` is any cheaper at this composing layer."""
        return self.head is not None and self.prior is not None and layer <= self.head.layer
