"""A latent space: the tensors that a lane optimises, where they start, and the image they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from mgi.config import Inversion
from mgi.generators import Generator, GeneratorError, StyledGenerator, is_styled
from mgi.inversion.latents import Latents, Shapes
from mgi.inversion.prior import LatentPrior
from mgi.pairs import Hypothesis

MEAN_SAMPLES = 10_000
"""Latents that estimate the mean and spread of w, as StyleGAN2's projector takes."""


class Space(Protocol):
    """One latent space of one generator under fixed settings."""

    prior: LatentPrior | None
    """Whitening of w, in whose units codes and tails are kept; None if they are kept as they are."""

    def shapes(self, hypothesis: Hypothesis) -> Shapes:
        """Names and shapes of a lane's groups."""
        ...

    def start(self, hypothesis: Hypothesis, seed: int, device: str = "cpu") -> Latents:
        """Where a lane starts; random numbers are drawn on the CPU from its own seed, so no batch changes them."""
        ...

    def images(self, lanes: Sequence[Latents], layer: int, down: int = 1, coarse: bool = False) -> Tensor:
        """Images [B, 3, R / down, R / down] of lanes that compose at the same layer.

        Args:
            coarse: through the coarse head, if there is one, at the head's resolution.
        """
        ...

    def has_coarse(self, layer: int) -> bool:
        """Whether `coarse` makes any difference at this composing layer."""
        ...

    def points(self, latents: Latents) -> Tensor:
        """The rows [rows, D] of a lane that the geodesic loss compares."""
        ...

    def retract(self, latents: Latents) -> None:
        """Bring a lane back into the space after a gradient step, in place."""
        ...

    def warmed(self, latents: Latents, scout: Latents) -> Latents:
        """Another start for a lane: its own, with what a lane of the same picture but other shapes has found."""
        ...

    def placed(self, latents: Latents, styles: Tensor) -> Latents:
        """A start at styles [styles, D] of the generator's W+: a lane's own with its codes and tail moved there.

        Raises GeneratorError: the space has no w.
        """
        ...

    def edited(self, latents: Latents, direction: Tensor, amount: float) -> Latents:
        """A copy moved by `amount` along a direction [D] or [styles, D] of the generator's z, or w if it has one."""
        ...


def draw(rows: int, columns: int, seed: int) -> Tensor:
    """Standard normal [rows, columns] from a seed of its own."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def require_styles(generator: Generator, space: str) -> StyledGenerator:
    """The generator itself. Raises GeneratorError unless it has w."""
    if not is_styled(generator):
        raise GeneratorError(f"{generator.name} has no latent space {space}: it has no styles; use multi, z or sphere")
    return generator


@torch.no_grad()
def statistics_of_w(generator: StyledGenerator, device: str) -> tuple[Tensor, float]:
    """Mean [D] of w = to_w(z) and its spread: the root mean squared distance from the mean (a scalar)."""
    z = draw(MEAN_SAMPLES, generator.z_dim, seed=0)
    w = torch.cat([generator.to_w(part.to(device)) for part in z.split(2000)])
    mean = w.mean(0)
    return mean, float((w - mean).square().sum(1).mean().sqrt())


def check_layer(settings: Inversion, layers: int, name: str) -> None:
    """Raise ConfigError unless every hypothesis fits a generator of that depth."""
    from mgi.config import ConfigError

    for hypothesis in settings.all_hypotheses():
        if not 1 <= hypothesis.composing_layer <= layers or hypothesis.num_codes < 1:
            raise ConfigError(
                f"hypothesis {hypothesis.id} does not fit {name}: composing layers are 1 to {layers}, codes at least "
                "1; change inversion.composing_layers, num_codes or hypotheses"
            )
